import gzip

import nibabel
import numpy as np
import pytest
from monai.transforms import LoadImage

from medkd.data import EncodeLabeld, VolumeFileReader

OBLIQUE = np.array([[0.0, -1.2, 0.1, 40], [0.9, 0.0, 0.0, -7], [0.0, 0.1, 2.5, 3], [0, 0, 0, 1.0]])
_SCL_SLOPE, _SROW_Z = 112, 312  # bytes from the start of a NIfTI-1 file


@pytest.fixture
def volume():
    return np.random.default_rng(0).integers(-1000, 1000, (5, 4, 3)).astype(np.int16)


def _save(path, array, affine=OBLIQUE, kind=nibabel.Nifti1Image):
    nibabel.save(kind(array, affine), path)
    return path


def _write_at(path, offset, *values):
    """Overwrite float32 fields of a header, which nibabel would set by itself."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(np.array(values, dtype="<f4").tobytes())


def _read(path, num_channels=1):
    return LoadImage(reader=VolumeFileReader(num_channels), ensure_channel_first=True)(path)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ"])
def test_reads_values_and_place(kind, name, volume, tmp_path):
    image = _read(_save(tmp_path / name, volume, kind=kind))
    assert np.array_equal(image[0], volume)
    assert np.allclose(image.affine, OBLIQUE, atol=1e-5)


def test_reads_a_header_with_its_data_beside_it(volume, tmp_path):
    nibabel.save(nibabel.Nifti1Pair(volume, OBLIQUE), tmp_path / "a.img")
    assert np.array_equal(_read(tmp_path / "a.hdr")[0], volume)


def test_scaled_label_values_are_whole_numbers(tmp_path):
    """Ten times a float32 0.1 is not 1; scaled in float64 and rounded to float32 it is."""
    path = _save(tmp_path / "scaled.nii", np.array([[[0, 10, 20, 30]]], dtype=np.uint8))
    _write_at(path, _SCL_SLOPE, 0.1)
    assert np.array_equal(_read(path)[0], [[[0, 1, 2, 3]]])


@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">i2", "<u2", "<i4", ">u4", "<i8", "<f8"])
def test_large_ids_stay_apart(dtype, tmp_path):
    """312782546 and 312782550 are two structures of a mouse brain, and one float32."""
    top = int(min(312782550, np.iinfo(dtype).max if dtype[-2] != "f" else 312782550))
    label = np.array([[[0, 1, top - 4, top]]], dtype=dtype)
    image = nibabel.Nifti1Image(label, np.eye(4), dtype=label.dtype)
    nibabel.save(image, tmp_path / "label.nii")
    load = LoadImage(reader=VolumeFileReader(), ensure_channel_first=True, dtype=None)
    read = load(tmp_path / "label.nii")
    assert read[0].flatten().tolist() == label.ravel().tolist()
    assert read.max() == top  # which PyTorch cannot say of all unsigned integers
    encoded = EncodeLabeld("label", {0: 0, 1: 1, top - 4: 2, top: 3})({"label": read})["label"]
    assert encoded.flatten().tolist() == [0, 1, 2, 3]


def test_fractions_are_of_single_precision(tmp_path):
    read = VolumeFileReader().get_data((_save(tmp_path / "a.nii", np.full((2, 2, 2), 0.5)),))[0]
    assert read.dtype == np.float32


def test_channels_come_as_files_or_as_the_fourth_axis(volume, tmp_path):
    paths = [_save(tmp_path / f"a_000{c}.nii.gz", volume + c) for c in range(2)]
    stacked = _save(tmp_path / "both.nii.gz", np.stack([volume, volume + 1], axis=-1))
    for image in (_read(paths, 2), _read(stacked, 2)):
        assert image.shape == (2, 5, 4, 3)
        assert np.array_equal(image[1] - image[0], np.ones(volume.shape))


def test_a_fourth_axis_of_one_is_none(volume, tmp_path):
    assert _read(_save(tmp_path / "a.nii", volume[..., None])).shape == (1, 5, 4, 3)


def test_keeps_no_text_of_the_header(volume, tmp_path):
    image = nibabel.Nifti1Image(volume, OBLIQUE)
    image.header["descrip"] = b"JOHN DOE 1950"
    nibabel.save(image, tmp_path / "a.nii")
    assert "JOHN" not in str(_read(tmp_path / "a.nii").meta)


class TestRefusals:
    def refused(self, path, match, num_channels=1):
        with pytest.raises((ValueError, OSError), match=match) as error:
            _read(path, num_channels)
        assert str(path if not isinstance(path, list) else path[-1]) in str(error.value)
        assert "\n" not in str(error.value)

    def test_missing(self, tmp_path):
        self.refused(tmp_path / "a.nii", "but there is none")

    def test_empty(self, tmp_path):
        (tmp_path / "a.nii").touch()
        self.refused(tmp_path / "a.nii", "got an empty file")

    def test_a_series(self, volume, tmp_path):
        path = _save(tmp_path / "a.nii.gz", np.stack([volume] * 7, axis=-1))
        self.refused(path, r"1 channel\(s\) of one volume, but got shape \(5, 4, 3, 7\)")

    def test_a_plane(self, volume, tmp_path):
        self.refused(_save(tmp_path / "a.nii", volume[..., 0]), r"but got shape \(5, 4\)")

    def test_a_truncated_gzip(self, volume, tmp_path):
        path = _save(tmp_path / "a.nii.gz", volume)
        path.write_bytes(path.read_bytes()[:-40])
        self.refused(path, "to be a whole NIfTI file")

    def test_truncated_data(self, volume, tmp_path):
        path = _save(tmp_path / "a.nii", volume)
        path.write_bytes(path.read_bytes()[:-7])
        self.refused(path, "to be a whole NIfTI file")

    def test_a_header_without_data(self, volume, tmp_path):
        nibabel.save(nibabel.Nifti1Pair(volume, OBLIQUE), tmp_path / "a.img")
        (tmp_path / "a.img").unlink()
        self.refused(tmp_path / "a.hdr", "to be a whole NIfTI file")

    def test_another_format(self, tmp_path):
        with gzip.open(tmp_path / "a.nii.gz", "wb") as file:
            file.write(b"no scan" * 100)
        self.refused(tmp_path / "a.nii.gz", "to be a whole NIfTI file")

    def test_complex_voxels(self, volume, tmp_path):
        self.refused(_save(tmp_path / "a.nii", volume.astype(np.complex64)), "real numbers")

    def test_colored_voxels(self, tmp_path):
        colors = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
        self.refused(_save(tmp_path / "a.nii", colors), "real numbers")

    def test_a_flat_affine(self, volume, tmp_path):
        path = _save(tmp_path / "a.nii", volume)
        _write_at(path, _SROW_Z, 0.0, 0.0, 0.0, 0.0)
        self.refused(path, "to say where its voxels lie")

    def test_channels_of_two_shapes(self, volume, tmp_path):
        paths = [_save(tmp_path / "a.nii", volume), _save(tmp_path / "b.nii", volume[1:])]
        self.refused(paths, "to be of the shape of", num_channels=2)

    def test_channels_in_two_places(self, volume, tmp_path):
        moved = OBLIQUE.copy()
        moved[2, 3] += 0.5
        paths = [_save(tmp_path / "a.nii", volume), _save(tmp_path / "b.nii", volume, moved)]
        self.refused(paths, "but they are up to 0.5 mm and 0.0 degrees apart", num_channels=2)


def test_rejects_no_channel():
    with pytest.raises(ValueError, match="num_channels"):
        VolumeFileReader(num_channels=0)
