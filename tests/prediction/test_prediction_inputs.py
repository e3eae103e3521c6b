from __future__ import annotations

import pytest

from medkd.prediction import PredictionInput, find_inputs

VOLUMES = {"spatial_dims": 3, "num_channels": 1}


def write(path, start=b""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(start + b"x")
    return path


def write_dicom(path):
    return write(path, bytes(128) + b"DICM")


def test_finds_the_images_of_a_folder(tmp_path):
    for name in ("b.nii.gz", "a.nii", "notes.txt"):
        write(tmp_path / name)
    assert find_inputs(tmp_path, **VOLUMES) == [
        PredictionInput("a", str(tmp_path / "a.nii")),
        PredictionInput("b", str(tmp_path / "b.nii.gz")),
    ]


def test_takes_a_file_whatever_its_name(tmp_path):
    path = write(tmp_path / "a[1]*.nii.gz")
    write(tmp_path / "a1.nii.gz")
    assert find_inputs(path, **VOLUMES) == [PredictionInput("a[1]*", str(path))]


def test_joins_channels(tmp_path):
    paths = [str(write(tmp_path / f"a_000{number}.nii.gz")) for number in range(2)]
    found = find_inputs(tmp_path, spatial_dims=3, num_channels=2)
    assert found == [PredictionInput("a", paths)]


def test_takes_pictures_in_2d(tmp_path):
    path = write(tmp_path / "eye.png")
    assert find_inputs(path, spatial_dims=2, num_channels=3) == [PredictionInput("eye", str(path))]


@pytest.mark.parametrize("name", ["SMITH^JOHN/IM0001", "SMITH^JOHN/deep/1.dcm"])
def test_dicom_is_not_called_after_its_folder(tmp_path, name):
    write_dicom(tmp_path / name)
    folder = tmp_path / "SMITH^JOHN"
    (found,) = find_inputs(folder, **VOLUMES)
    assert found == PredictionInput("series", str(folder), is_dicom=True)
    (found,) = find_inputs(folder, **VOLUMES, series=2)
    assert (found.case_id, found.series) == ("series_2", 2)


def test_predictions_below_a_folder_do_not_make_it_dicom(tmp_path):
    write(tmp_path / "a.nii.gz")
    write_dicom(tmp_path / "predictions" / "series_segmentation.dcm")
    assert [found.case_id for found in find_inputs(tmp_path, **VOLUMES)] == ["a"]


def test_rejects_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a folder at .*none, but there is nothing"):
        find_inputs(tmp_path / "none", **VOLUMES)


def test_rejects_a_folder_without_images(tmp_path):
    write(tmp_path / "a.txt")
    with pytest.raises(FileNotFoundError, match=r"Expected images in .*but found none"):
        find_inputs(tmp_path, **VOLUMES)


def test_rejects_a_series_of_nifti(tmp_path):
    path = write(tmp_path / "a.nii.gz")
    with pytest.raises(ValueError, match="Expected DICOM with `series` 1, but got the images"):
        find_inputs(path, **VOLUMES, series=1)


@pytest.mark.parametrize(
    ("kind", "takes"),
    [
        ({"spatial_dims": 2, "num_channels": 3}, "pictures"),
        ({"spatial_dims": 3, "num_channels": 2}, "volumes of 2 channels"),
    ],
)
def test_rejects_dicom_for_another_network(tmp_path, kind, takes):
    write_dicom(tmp_path / "a.dcm")
    with pytest.raises(ValueError, match=f"a network that takes {takes}, but got the DICOM"):
        find_inputs(tmp_path, **kind)
