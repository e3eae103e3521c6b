from __future__ import annotations

import pytest

from medkd.data import images_in


@pytest.fixture
def folder(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).touch()
        return tmp_path

    return make


def listed(folder, **settings):
    def name(image):
        return image.rsplit("/", 1)[-1]

    return {
        item["case_id"]: name(item["image"])
        if isinstance(item["image"], str)
        else [name(image) for image in item["image"]]
        for item in images_in(folder, **settings)
    }


def test_pictures_are_listed_by_name(folder):
    path = folder("b.png", "a.jpg", "flat.nii.gz", "notes.txt", "x.hdr")
    assert listed(path) == {"a": "a.jpg", "b": "b.png", "flat": "flat.nii.gz"}
    assert listed(path, pattern="*.png", num_channels=3) == {"b": "b.png"}


def test_volumes_are_listed_by_name(folder):
    path = folder("b.nii", "a.NII.GZ", "c.hdr", "c.img", "photo.png", "d_0000.nii.gz")
    assert listed(path, spatial_dims=3) == {
        "a": "a.NII.GZ",
        "b": "b.nii",
        "c": "c.hdr",
        "d_0000": "d_0000.nii.gz",
    }


def test_channels_of_a_case_belong_together(folder):
    path = folder(*(f"{case}_000{n}.nii.gz" for case in "yx" for n in (1, 0)), "whole.nii")
    assert listed(path, spatial_dims=3, num_channels=2) == {
        "whole": "whole.nii",
        "x": ["x_0000.nii.gz", "x_0001.nii.gz"],
        "y": ["y_0000.nii.gz", "y_0001.nii.gz"],
    }


@pytest.mark.parametrize(
    "names",
    [
        ("x_0000.nii",),
        ("x_0000.nii", "x_0002.nii"),
        ("x_0000.nii", "x_0001.nii", "x_0002.nii"),
        ("x_0000.nii", "x_0001.nii", "x.nii"),
    ],
)
def test_rejects_a_case_of_other_channels(folder, names):
    path = folder(*names)
    with pytest.raises(ValueError, match="the 2 channels of a case as x_0000, x_0001, but got "):
        images_in(path, spatial_dims=3, num_channels=2)


def test_rejects_two_of_one_name(folder):
    path = folder("a.nii", "a.nii.gz")
    with pytest.raises(ValueError, match=r"names of their own, but .*a\.nii and .*a\.nii\.gz"):
        images_in(path, spatial_dims=3)


def test_rejects_an_empty_folder_and_wrong_settings(folder):
    path = folder("a.png")
    with pytest.raises(FileNotFoundError, match=r"images in .* one of \.nii, .*but found none"):
        images_in(path, spatial_dims=3)
    with pytest.raises(ValueError, match="`spatial_dims` to be 2 or 3, but got 1"):
        images_in(path, spatial_dims=1)
    with pytest.raises(ValueError, match="`num_channels` to be at least 1, but got 0"):
        images_in(path, num_channels=0)
