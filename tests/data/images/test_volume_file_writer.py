from __future__ import annotations

import gzip
import time

import nibabel
import numpy as np
import pytest
import SimpleITK

from medkd.data.images.volume_file_writer import write_volume
from medkd.data.phantoms.phantom_grid import centered_affine
from medkd.data.phantoms.phantom_volume import PhantomVolume

SHAPE, SPACING = (4, 5, 6), (1.0, 2.0, 3.5)
AFFINE = centered_affine(SHAPE, SPACING, center=(5, 6, 7), angles=(10, -20, 30))
VOXELS = np.arange(120, dtype=np.int16).reshape(SHAPE) - 60


def test_nibabel_and_simple_itk_read_what_was_written(tmp_path):
    path = tmp_path / "volume.nii.gz"
    write_volume(path, VOXELS, AFFINE)
    image = nibabel.load(path)
    assert image.get_data_dtype() == np.int16
    np.testing.assert_array_equal(np.asarray(image.dataobj), VOXELS)
    for affine in (image.get_sform(), image.get_qform()):
        np.testing.assert_allclose(affine, AFFINE, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    other = SimpleITK.ReadImage(str(path))
    assert other.GetSpacing() == pytest.approx(SPACING, rel=1e-5)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(other).T, VOXELS)
    # SimpleITK points to the left and to the back.
    origin = np.array(other.GetOrigin()) * (-1, -1, 1)
    np.testing.assert_allclose(origin, AFFINE[:3, 3], atol=1e-4)


def test_bytes_hold_neither_time_nor_name(tmp_path, monkeypatch):
    write_volume(tmp_path / "a.nii.gz", VOXELS, AFFINE)
    monkeypatch.setattr(time, "time", lambda: 1e9)
    write_volume(tmp_path / "b.nii.gz", VOXELS, AFFINE)
    content = (tmp_path / "a.nii.gz").read_bytes()
    assert content == (tmp_path / "b.nii.gz").read_bytes()
    assert content[3:8] == bytes(5)  # no flags (a name would be one) and no time
    assert len(gzip.decompress(content)) == 352 + 240


@pytest.mark.parametrize("axcodes", ["LPS", "PSR", "RAS"])
def test_reorienting_keeps_every_voxel_in_its_place(axcodes):
    label = (VOXELS > 0).astype(np.uint8)
    turned = PhantomVolume(VOXELS, label, AFFINE).reoriented(axcodes)
    assert "".join(nibabel.aff2axcodes(turned.affine)) == axcodes
    back = np.linalg.inv(turned.affine) @ AFFINE
    for index in ((0, 0, 0), (1, 2, 3), (3, 4, 5)):
        there = tuple(np.round(back @ np.array([*index, 1]))[:3].astype(int))
        assert turned.image[there] == VOXELS[index]
        assert turned.label[there] == label[index]
