"""From a folder of scans to maps on the grid of each."""

import nibabel
import numpy as np
import pytest
import torch
from monai.networks.nets import UNet

from medkd.errors import sentence_of
from medkd.networks import save_weights

SHAPE = (20, 17, 9)
TINY = {
    "device": "cpu",
    "channels": [4, 8],
    "strides": [2],
    "spacing": [1.7, 1.7, 2.1],
    "patch_size": [12, 12, 8],
}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run whose network is small and was never trained."""
    folder = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    network = UNet(
        3,
        1,
        5,
        channels=TINY["channels"],
        strides=TINY["strides"],
        num_res_units=2,
        norm="instance",
    )
    save_weights(network, folder / "models" / "model.pt")
    return folder


@pytest.fixture
def segment(run_bundle, run_dir, tmp_path):
    def run(folder, **overrides):
        settings = {**TINY, "run_dir": str(run_dir), "dataset_dir": str(folder), **overrides}
        run_bundle(
            "run",
            ("inference.json",),
            bundle="kd_uniform",
            output_dir=str(tmp_path / "maps"),
            **settings,
        )
        return tmp_path / "maps"

    return run


def write_scan(path, kind=nibabel.Nifti1Image, axcodes="PSR"):
    generator = np.random.default_rng(3)
    affine = nibabel.affines.from_matvec(
        np.array([[0.8, 0.1, 0.0], [-0.1, 0.8, 0.0], [0.0, 0.0, 2.4]]), (-4, 9, 31)
    )
    coarse = generator.normal(40, 150, [size // 4 + 2 for size in SHAPE])
    values = np.kron(coarse, np.ones((4, 4, 4)))[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    image = nibabel.Nifti1Image(values.astype(np.int16), affine)
    ornt = [nibabel.orientations.axcodes2ornt(codes) for codes in ("RAS", axcodes)]
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(*ornt))
    path.parent.mkdir(exist_ok=True)
    nibabel.save(kind(np.asarray(turned.dataobj), turned.affine), path)


def test_writes_maps_on_the_grid_of_each_scan(segment, tmp_path):
    scans = tmp_path / "scans"
    write_scan(scans / "turned.nii.gz", axcodes="PSR")
    write_scan(scans / "straight.nii", axcodes="RAS")
    write_scan(scans / "second.nii.gz", kind=nibabel.Nifti2Image, axcodes="LIP")
    maps = segment(scans, with_probability="true", with_uncertainty=True)
    names = ("segmentation", "probability", "uncertainty")
    assert {path.name for path in maps.glob("*.nii.gz")} == {
        f"{case}_{name}.nii.gz" for case in ("turned", "straight", "second") for name in names
    }
    straight = nibabel.load(maps / "straight_segmentation.nii.gz")
    assert len(np.unique(straight.dataobj)) > 1
    for case in ("turned", "straight", "second"):
        scan = nibabel.load(next(scans.glob(f"{case}.*")))
        for name in names:
            written = nibabel.load(maps / f"{case}_{name}.nii.gz")
            assert written.shape == scan.shape
            np.testing.assert_allclose(written.affine, scan.affine, atol=1e-5)
            assert written.get_data_dtype() == np.uint8
        # The same scan, stored in another way, is segmented in the same way.
        label = nibabel.load(maps / f"{case}_segmentation.nii.gz")
        turned_back = nibabel.as_closest_canonical(label).get_fdata()
        assert np.mean(turned_back == straight.get_fdata()) > 0.999
        confidence = nibabel.load(maps / f"{case}_probability.nii.gz").get_fdata()
        assert 0.19 < confidence.min() <= confidence.max() <= 1
        assert nibabel.load(maps / f"{case}_uncertainty.nii.gz").get_fdata().max() <= 1.61


def test_probabilities_are_written_on_request_only(segment, tmp_path):
    write_scan(tmp_path / "scans" / "a.nii.gz")
    maps = segment(tmp_path / "scans", with_probability="false")
    assert [path.name for path in maps.glob("*.nii.gz")] == ["a_segmentation.nii.gz"]


@pytest.mark.parametrize("kind", ["4d", "truncated", "header"])
def test_an_unreadable_scan_is_named(segment, tmp_path, kind):
    scan = tmp_path / "scans" / "a.nii.gz"
    write_scan(scan)
    if kind == "4d":
        nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 3), np.int16), np.eye(4)), scan)
    elif kind == "truncated":
        scan.write_bytes(scan.read_bytes()[:-900])
    else:
        image = nibabel.Nifti1Pair(np.zeros((4, 4, 4), np.int16), np.eye(4))
        scan.unlink()
        scan = scan.with_name("a.hdr")
        nibabel.save(image, scan)
        scan.with_suffix(".img").unlink()
    with pytest.raises(RuntimeError, match="evaluator") as caught:
        segment(tmp_path / "scans")
    sentence = sentence_of(caught.value)
    assert sentence is not None
    assert str(scan) in sentence
    assert sentence.startswith("Expected ")


def test_odd_files_are_segmented_where_they_lie(real_data, segment):
    scan = real_data("nifti_odd") / "psr_orientation" / "image.nii.gz"
    maps = segment(scan.parent, file_pattern="image.nii.gz", patch_size=[24, 24, 24])
    written, source = nibabel.load(maps / "image_segmentation.nii.gz"), nibabel.load(scan)
    assert nibabel.aff2axcodes(written.affine) == ("P", "S", "R")
    assert written.shape == source.shape
    for code in ("sform_code", "qform_code"):
        assert written.header[code] == source.header[code]
