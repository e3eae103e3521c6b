from __future__ import annotations

import nibabel
import numpy as np
import pytest
from monai.transforms import LoadImaged

from medkd.data import (
    VolumeFileReader,
    check_cases,
    convert_ssl4mis,
    load_cases,
    read_manifest,
    select_labeled,
)
from medkd.data.ssl4mis import ssl4mis_conversion


def test_files_hold_what_the_slices_hold(hearts, tmp_path):
    folder, volumes = hearts
    output = tmp_path / "new" / "acdc"
    convert_ssl4mis(folder, output, spacing=None)
    assert sorted(path.name for path in output.iterdir()) == ["images", "labels", "manifest.json"]
    for name, (image, label) in volumes.items():
        scan = nibabel.load(output / "images" / f"{name}.nii.gz")
        classes = nibabel.load(output / "labels" / f"{name}.nii.gz")
        assert np.array_equal(np.asarray(scan.dataobj), image.T)
        assert np.array_equal(np.asarray(classes.dataobj), label.T)
        assert (scan.get_data_dtype(), classes.get_data_dtype()) == (np.float32, np.uint8)


def test_the_manifest_is_that_of_the_field(hearts, tmp_path):
    folder, _ = hearts
    manifest = convert_ssl4mis(folder, tmp_path / "acdc", spacing=None)
    assert read_manifest(tmp_path / "acdc" / "manifest.json") == manifest
    assert manifest.class_names == (
        *("background", "right_ventricle", "myocardium", "left_ventricle"),
    )
    assert (manifest.name, manifest.modality, manifest.spatial_dims) == ("ACDC (SSL4MIS)", "MR", 3)
    assert manifest.license
    assert manifest.citation
    findings = [found for _, found in check_cases(manifest, tmp_path / "acdc")]
    assert findings == [[]] * 5
    cases = load_cases(tmp_path / "acdc" / "manifest.json", tmp_path / "acdc", split="train")
    (first,) = select_labeled(cases, num_labeled=1)
    assert first["case_id"] == "patient007_frame01"  # the first of the list, not of the alphabet


def test_unknown_spacing_is_said_and_has_no_unit(hearts, tmp_path):
    manifest = convert_ssl4mis(hearts[0], tmp_path / "acdc", spacing=None)
    assert "not known" in manifest.changes
    assert "distances are in voxels, not in mm" in manifest.changes
    header = nibabel.load(tmp_path / "acdc" / manifest.cases[0].files["image"]).header
    assert header.get_xyzt_units()[0] == "unknown"
    assert header.get_zooms() == (1, 1, 1)


def test_stated_spacing_is_along_x_y_and_z(hearts, tmp_path):
    manifest = convert_ssl4mis(hearts[0], tmp_path / "acdc", spacing=(1.5, 1.25, 8))
    assert "1.5 x 1.25 x 8 mm was stated by who converted them" in manifest.changes
    for role in ("image", "label"):
        path = tmp_path / "acdc" / manifest.cases[0].files[role]
        assert nibabel.load(path).header.get_zooms() == (1.5, 1.25, 8)
        assert nibabel.load(path).header.get_xyzt_units()[0] == "mm"
        load = LoadImaged(role, reader=VolumeFileReader())
        affine = load({role: str(path)})[role].affine
        assert affine.diagonal().tolist() == [1.5, 1.25, 8, 1]


def test_left_atria(tmp_path, save_h5):
    generator = np.random.default_rng(0)
    folder = tmp_path / "data"
    images = {scan: generator.normal(size=(6, 5, 4)).astype(np.float32) for scan in "ABCD"}
    for scan, image in images.items():
        path = folder / "2018LA_Seg_Training Set" / scan / "mri_norm2.h5"
        save_h5(path, image=image, label=(image > 1).astype(np.uint8))
    (folder / "train.list").write_text("C\nA\nB\n")
    (folder / "test.list").write_text("D\n")
    manifest = convert_ssl4mis(folder, tmp_path / "la", spacing=[0.625] * 3)
    assert manifest.class_names == ("background", "left_atrium")
    assert manifest.splits == {"train": ("C",), "validation": ("A", "B"), "test": ("D",)}
    assert "cropped every scan in x and y to its label" in manifest.changes
    for scan, image in images.items():
        written = nibabel.load(tmp_path / "la" / "images" / f"{scan}.nii.gz")
        assert np.array_equal(np.asarray(written.dataobj), image)


def test_other_data_sets_need_names_of_their_own(tmp_path, save_h5):
    label = np.zeros((3, 4, 5), dtype=np.uint8)
    label[1], label[2] = 2, 7
    for name in "abc":
        save_h5(tmp_path / "h5" / f"{name}.h5", image=label * 0.5, label=label)
        (tmp_path / "h5" / f"{dict(a='train', b='val', c='test')[name]}.list").write_text(name)
    manifest = convert_ssl4mis(tmp_path / "h5", tmp_path / "one", spacing=None)
    assert manifest.label_values == {0: 0, 2: 1, 7: 2}
    assert manifest.class_names == ("background", "class_2", "class_7")
    assert (manifest.name, manifest.channel_names) == ("h5 volumes", {0: "image"})
    named = ["background", "liver", "tumor"]
    manifest = convert_ssl4mis(tmp_path / "h5", tmp_path / "two", spacing=None, class_names=named)
    assert manifest.class_names == tuple(named)


def test_equal_data_make_equal_files(hearts, tmp_path):
    for name in ("one", "two"):
        convert_ssl4mis(hearts[0], tmp_path / name, spacing=None)
    files = [path for path in sorted((tmp_path / "one").rglob("*")) if path.is_file()]
    assert len(files) == 11
    for path in files:
        other = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_is_left(hearts, tmp_path, monkeypatch, fault):
    def fail(*_):
        raise fault

    monkeypatch.setattr(ssl4mis_conversion, "write_manifest", fail)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(type(fault)):
        convert_ssl4mis(hearts[0], tmp_path / "acdc", spacing=None)
    assert sorted(tmp_path.iterdir()) == before


def test_a_faulty_slice_stops_it(hearts, tmp_path, save_h5):
    folder, _ = hearts
    path = next((folder / "data" / "slices").glob("patient009*_slice_2.h5"))
    save_h5(path, image=np.zeros((5, 9)), label=np.zeros((5, 9)))
    with pytest.raises(ValueError, match=r"009_frame01_slice_2\.h5 to hold a slice of the size of"):
        convert_ssl4mis(folder, tmp_path / "acdc", spacing=None)
    assert not (tmp_path / "acdc").exists()


def test_rejects_a_folder_that_exists(hearts, tmp_path):
    (tmp_path / "acdc").mkdir()
    with pytest.raises(FileExistsError, match=r"a new folder for the output, but .*acdc exists"):
        convert_ssl4mis(hearts[0], tmp_path / "acdc", spacing=None)


@pytest.mark.parametrize("spacing", [(1, 1), (1, 1, 0), (1, 1, -8), (1, 1, float("nan")), ()])
def test_rejects_spacing(hearts, tmp_path, spacing):
    with pytest.raises(ValueError, match="`spacing` to be the three sides of a voxel in mm"):
        convert_ssl4mis(hearts[0], tmp_path / "acdc", spacing=spacing)
    assert not (tmp_path / "acdc").exists()


def test_rejects_class_names_that_do_not_fit(hearts, tmp_path):
    with pytest.raises(ValueError, match="Expected 4 different class names"):
        convert_ssl4mis(hearts[0], tmp_path / "acdc", spacing=None, class_names=["background", "x"])
    assert not (tmp_path / "acdc").exists()
