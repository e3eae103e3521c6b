from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, LoadImaged, Orientationd, Spacingd, SpatialPadd

from medkd.data import RestoreGeometryd, VolumeFileReader

SHAPE = (12, 10, 8)


@pytest.fixture(params=["RAS", "PSR", "LIA"])
def file(request, tmp_path):
    """A volume whose left half, in mm, is 1 and whose right half is 3."""
    affine = np.diag([1.5, 0.8, 2.0, 1.0])
    affine[:3, 3] = (-9.0, 3.0, 40.0)
    values = np.ones(SHAPE, dtype=np.int16)
    values[6:] = 3
    image = nibabel.Nifti1Image(values, affine)
    ornt = nibabel.orientations.axcodes2ornt(request.param)
    path = tmp_path / "scan.nii.gz"
    nibabel.save(image.as_reoriented(nibabel.orientations.ornt_transform(ORNT, ornt)), path)
    return path


ORNT = nibabel.orientations.axcodes2ornt("RAS")


def prepared(file, *more):
    return Compose(
        [
            LoadImaged("image", reader=VolumeFileReader(), ensure_channel_first=True),
            Orientationd("image", axcodes="RAS", labels=None),
            Spacingd("image", pixdim=(0.7, 0.9, 1.1)),
            *more,
        ]
    )({"image": str(file)})


@pytest.mark.parametrize("padded", [False, True])
def test_maps_lie_on_the_file_again(file, padded):
    """The image itself, made a map, comes back as what the file holds."""
    case = prepared(file, *([SpatialPadd("image", (40, 40, 40))] if padded else []))
    case["segmentation"] = (case["image"] > 2).to(torch.uint8).as_tensor()
    case["uncertainty"] = case["image"].as_tensor().half()
    before = case["segmentation"].clone()
    restored = RestoreGeometryd(["segmentation", "uncertainty"])(case)
    stored = nibabel.load(file)
    values = stored.get_fdata()
    assert restored["segmentation"].shape == (1, *values.shape)
    assert restored["segmentation"].dtype == torch.uint8
    assert np.array_equal(restored["segmentation"][0].numpy(), values > 2)
    assert restored["uncertainty"].dtype == torch.float16
    np.testing.assert_allclose(restored["uncertainty"][0].float().numpy(), values, atol=0.7)
    np.testing.assert_allclose(restored["segmentation"].affine, stored.affine)
    assert torch.equal(case["segmentation"], before)


def test_maps_not_asked_for_are_left_out(file):
    case = prepared(file)
    case["segmentation"] = torch.zeros(case["image"].shape, dtype=torch.uint8)
    restored = RestoreGeometryd(["segmentation", "probability"], allow_missing_keys=True)(case)
    assert set(restored) == {"image", "segmentation"}
    with pytest.raises(KeyError, match="probability"):
        RestoreGeometryd("probability")(case)


def test_rejects_an_image_that_does_not_know_where_it_lies():
    case = {"image": torch.zeros(1, 2, 2, 2), "segmentation": torch.zeros(1, 2, 2, 2)}
    with pytest.raises(TypeError, match="`image` to be a MetaTensor with `original_affine`"):
        RestoreGeometryd("segmentation")(case)


def test_rejects_a_map_of_another_size():
    meta = {"original_affine": np.eye(4), "spatial_shape": (2, 2, 2)}
    case = {"image": MetaTensor(torch.zeros(3, 2, 2, 2), meta=meta)}
    case["segmentation"] = torch.zeros(1, 2, 2, 3)
    with pytest.raises(ValueError, match=r"\(1, 2, 2, 2\), but got \(1, 2, 2, 3\)"):
        RestoreGeometryd("segmentation")(case)
