from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK

from medkd.data import image_files, image_sha256
from medkd.files import sha256_of


def volume(value=0):
    return np.full((4, 3, 2), value, dtype=np.int16)


def save(path, value=0):
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(volume(value)), str(path))
    return path


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha", "a.nii.gz", "a.png"])
def test_of_one_file_it_is_the_digest_of_the_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"a picture") if name == "a.png" else save(path)
    assert image_files(path) == [path]
    assert image_sha256(path) == image_sha256(str(path)) == sha256_of(path)
    assert image_sha256([path, path]) == sha256_of([path, path])
    assert image_sha256([str(path)]) == sha256_of([path])


@pytest.mark.parametrize(("name", "data"), [("a.nhdr", "a.raw"), ("a.mhd", "a.raw")])
def test_changes_with_the_voxels_beside_the_header(tmp_path, name, data):
    path = save(tmp_path / name)
    assert image_files(path) == [path, tmp_path / data]
    text, before = path.read_bytes(), image_sha256(path)
    save(path, 1)
    assert path.read_bytes() == text
    assert image_sha256(path) != before
    assert image_sha256([path]) == image_sha256(path)


def test_changes_with_the_voxels_of_a_nifti_pair(tmp_path):
    path = tmp_path / "a.hdr"
    digests = set()
    for value in (1, 2):
        nibabel.save(nibabel.Nifti1Pair(volume(value), np.eye(4)), tmp_path / "a.img")
        digests.add(image_sha256(path))
    assert image_files([path, path]) == [path, tmp_path / "a.img"] * 2
    assert len(digests) == 2


def test_rejects_a_header_without_its_voxels(tmp_path):
    path = save(tmp_path / "a.mhd")
    (tmp_path / "a.raw").unlink()
    with pytest.raises(ValueError, match=r"a\.mhd with the file of its voxels"):
        image_sha256(path)
