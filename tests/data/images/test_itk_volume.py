"""NRRD and MetaImage against SimpleITK itself, which places voxels, and against nibabel."""

from __future__ import annotations

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK
import torch
from monai.transforms import Compose, LoadImage, Orientation, Spacing
from scipy.spatial.transform import Rotation

from medkd.data import EncodeLabeld, VolumeFileReader, images_in
from medkd.data.images.volume_header import read_volume_header

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
SHAPE = (6, 5, 4)  # unequal, so a swapped axis cannot pass
TURNED = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix()
DIRECTIONS = {
    "along": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "permuted": np.eye(3)[[2, 0, 1]],
    "oblique": TURNED,
    "left-handed": TURNED @ np.diag([1.0, 1.0, -1.0]),
}


@pytest.fixture
def voxels():
    return np.random.default_rng(0).integers(-1000, 1000, SHAPE).astype(np.int16)


def image_of(array, direction="oblique", *, is_vector=False):
    """An image of SimpleITK, of ``(X, Y, Z)`` or ``(X, Y, Z, C)``."""
    axes = (2, 1, 0, 3)[: array.ndim]
    image = SimpleITK.GetImageFromArray(array.transpose(axes), isVector=is_vector)
    image.SetSpacing((0.8, 1.3, 2.9))
    image.SetOrigin((1 / 3, -22.7, 310.5))
    image.SetDirection(DIRECTIONS[direction].ravel().tolist())
    return image


def save(path, image, *, compressed=False):
    SimpleITK.WriteImage(image, str(path), useCompression=compressed)
    return path


def read(path, num_channels=1):
    return VolumeFileReader(num_channels).get_data((path,))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_voxels_lie_where_simpleitk_says(tmp_path, voxels, suffix, direction):
    path = save(tmp_path / f"scan{suffix}", image_of(voxels, direction))
    array, header = read(path)
    assert array.dtype == np.int16
    assert np.array_equal(array, voxels)
    assert header["spatial_shape"].tolist() == list(SHAPE)
    source = SimpleITK.ReadImage(str(path))
    for index in ((0, 0, 0), (5, 0, 0), (0, 4, 0), (0, 0, 3), (3, 2, 1)):
        left, posterior, superior = source.TransformIndexToPhysicalPoint(index)
        placed = header["affine"] @ [*index, 1]
        np.testing.assert_allclose(placed, [-left, -posterior, superior, 1], atol=1e-10)
        assert array[index] == source[index]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_same_scan_lies_where_nibabel_says(tmp_path, voxels, direction):
    image = image_of(voxels, direction)
    array, header = read(save(tmp_path / "scan.nrrd", image))
    nifti = nibabel.load(save(tmp_path / "scan.nii.gz", image))
    np.testing.assert_allclose(header["affine"], nifti.affine, atol=2e-5)  # of single precision
    assert np.array_equal(array, np.asarray(nifti.dataobj))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("direction", ["flipped", "permuted", "oblique"])
def test_the_same_scan_is_the_same_tensor_before_the_network(tmp_path, voxels, suffix, direction):
    smooth = np.cumsum(voxels, axis=0).astype(np.float32)
    load = Compose(
        [
            LoadImage(reader=VolumeFileReader(), ensure_channel_first=True),
            Orientation("RAS", labels=None),
            # Where the new grid of an oblique scan begins, MONAI 1.6.1 decides by a comparison to
            # 1e-8, which the single precision of NIfTI's header fails and NRRD's digits pass.
            *([Spacing((1.0, 1.1, 2.0))] if direction != "oblique" else []),
        ]
    )
    other, expected = (
        load(save(tmp_path / f"scan{s}", image_of(smooth, direction), compressed=True))
        for s in (suffix, ".nii.gz")
    )
    assert other.shape == expected.shape
    assert other.dtype == torch.float32
    np.testing.assert_allclose(other, expected, atol=1e-4 * smooth.max())
    np.testing.assert_allclose(other.affine, expected.affine, atol=1e-4)


def test_right_and_anterior_of_a_nrrd_are_not_turned(tmp_path, voxels):
    """As other programs write it: SimpleITK itself writes left-posterior-superior only."""
    text = (
        "NRRD0004\n# of another program\ntype: short\ndimension: 3\nspace: RAS\nsizes: 6 5 4\n"
        "space directions: (0.9,0,0) (0,1.1,0.2) (0,0,-2.5)\nkinds: domain domain domain\n"
        "endian: big\nencoding: gzip\nspace origin: (4,-5,6)\nwho:=Doe, Jane\n\n"
    )
    data = gzip.compress(voxels.T.astype(">i2").tobytes())
    (tmp_path / "scan.nrrd").write_bytes(text.encode() + data)
    array, header = read(tmp_path / "scan.nrrd")
    assert np.array_equal(array, voxels)
    expected = [[0.9, 0, 0, 4], [0, 1.1, 0, -5], [0, 0.2, -2.5, 6], [0, 0, 0, 1]]
    np.testing.assert_allclose(header["affine"], expected, atol=1e-12)
    assert "Doe" not in str(header)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_channels_are_numbers_of_a_voxel_or_files(tmp_path, voxels, suffix):
    both = np.stack([voxels, voxels + 7], axis=-1)
    path = save(tmp_path / f"both{suffix}", image_of(both, is_vector=True))
    array, header = read(path, 2)
    assert np.array_equal(array, both)
    assert header["original_channel_dim"] == -1
    paths = tuple(
        save(tmp_path / f"a_000{c}{suffix}", image_of(both[..., c].copy())) for c in range(2)
    )
    assert np.array_equal(VolumeFileReader(2).get_data(paths)[0], both)
    with pytest.raises(ValueError, match=r"1 channel\(s\) of one volume, but got shape \(6, 5, 4"):
        read(path)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f8"])
def test_large_ids_of_labels_stay_apart(tmp_path, suffix, dtype):
    top = 312782550 if dtype[-1] in "48" else int(np.iinfo(dtype).max)
    label = np.zeros(SHAPE, dtype=dtype)
    label[1], label[2] = top - 4, top
    path = save(tmp_path / f"label{suffix}", image_of(label), compressed=True)
    load = LoadImage(reader=VolumeFileReader(), ensure_channel_first=True, dtype=None)
    encode = EncodeLabeld("label", {0: 0, top - 4: 1, top: 2})
    encoded = encode({"label": load(path)})["label"][0]
    assert np.array_equal(encoded, (label == top - 4) + 2 * (label == top))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_header_is_read_without_voxels(tmp_path, voxels, suffix):
    path = save(tmp_path / f"scan{suffix}", image_of(voxels, "flipped"))
    data = path if suffix in (".nrrd", ".mha") else path.with_suffix(".raw")
    data.write_bytes(data.read_bytes()[: -voxels.nbytes or None])
    header = read_volume_header(path)
    assert (header.shape, header.orientation) == (SHAPE, "RPI")
    np.testing.assert_allclose(header.spacing, (0.8, 1.3, 2.9))
    assert (header.is_placed, header.version, header.unit) == (True, None, "unknown")


def test_a_folder_of_all_formats(tmp_path, voxels):
    for name in ("a.nrrd", "b.NHDR", "c.mha", "d.mhd", "e.nii.gz", "f.nii"):
        made = save(tmp_path / name.lower(), image_of(voxels))
        made.rename(tmp_path / name)
    items = images_in(tmp_path, spatial_dims=3)
    assert [item["case_id"] for item in items] == list("abcdef")
    for item in items:
        assert np.array_equal(read(tmp_path / item["image"])[0], voxels)


class TestRefusals:
    def refused(self, path, match, num_channels=1):
        with pytest.raises((ValueError, OSError), match=match) as error:
            LoadImage(reader=VolumeFileReader(num_channels))(path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("compressed", [False, True])
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_cut_off(self, tmp_path, voxels, suffix, compressed):
        path = save(tmp_path / f"scan{suffix}", image_of(voxels), compressed=compressed)
        (data,) = set(tmp_path.iterdir()) - ({path} if suffix in (".nhdr", ".mhd") else set())
        data.write_bytes(data.read_bytes()[:-9])
        self.refused(path, "the stream has no end" if compressed else "is it cut off")

    @pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
    def test_a_flipped_bit(self, tmp_path, voxels, suffix):
        """SimpleITK alone takes every such MetaImage."""
        path = save(tmp_path / f"scan{suffix}", image_of(voxels), compressed=True)
        whole = path.read_bytes()
        for place in range(12, 100, 11):
            damaged = bytearray(whole)
            damaged[-place] ^= 4
            path.write_bytes(damaged)
            self.refused(path, "the compressed voxels are damaged")

    @pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
    def test_without_the_file_of_its_voxels(self, tmp_path, voxels, suffix):
        path = save(tmp_path / f"scan{suffix}", image_of(voxels))
        path.with_suffix(".raw").unlink()
        self.refused(path, "the file of its voxels, 'scan.raw', beside it, but there is none")
        assert read_volume_header(path) is None

    @pytest.mark.parametrize("suffix", SUFFIXES)
    @pytest.mark.parametrize("there", ["../out.raw", "{folder}/out.raw", "a/../../out.raw"])
    def test_voxels_elsewhere(self, tmp_path, voxels, suffix, there):
        (tmp_path / "out.raw").write_bytes(voxels.T.tobytes())
        (tmp_path / "in" / "a").mkdir(parents=True)
        detached = ".nhdr" if suffix in (".nrrd", ".nhdr") else ".mhd"
        made = save(tmp_path / "in" / f"scan{detached}", image_of(voxels))
        path = made.rename(made.with_suffix(suffix))
        there = there.format(folder=tmp_path)
        path.write_text(path.read_text().replace("scan.raw", there))
        # SimpleITK follows it, so a file of a stranger could show any other.
        assert SimpleITK.ReadImage(str(path)).GetSize() == SHAPE
        self.refused(path, "its voxels in its own folder, but got")

    @pytest.mark.parametrize(
        "trick",
        [
            "ElementDataFile\n= ../out.raw\nElementDataFile = scan.raw",
            "Comment ElementDataFile = ../out.raw\nElementDataFile = scan.raw",
        ],
    )
    def test_a_place_that_only_simpleitk_sees(self, tmp_path, voxels, trick):
        path = save(tmp_path / "scan.mhd", image_of(voxels))
        path.write_text(path.read_text().replace("ElementDataFile = scan.raw", trick))
        self.refused(path, "does not say where its voxels are")

    def test_two_places(self, tmp_path, voxels):
        path = save(tmp_path / "scan.nhdr", image_of(voxels))
        path.write_text(path.read_text() + "data file: other.raw\n")
        self.refused(path, "once where its voxels are, but got 'scan.raw' and 'other.raw'")

    @pytest.mark.parametrize("several", ["LIST", "scan%03d.raw 1 4 1"])
    @pytest.mark.parametrize("suffix", [".nhdr", ".mhd"])
    def test_voxels_in_several_files(self, tmp_path, voxels, suffix, several):
        path = save(tmp_path / f"scan{suffix}", image_of(voxels))
        path.write_text(path.read_text().replace("scan.raw", several))
        self.refused(path, "its voxels in one file, but got several")

    def test_more_voxels_than_a_small_file_can_hold(self, tmp_path, voxels):
        path = save(tmp_path / "scan.nrrd", image_of(voxels), compressed=True)
        content = path.read_bytes().replace(b"sizes: 6 5 4", b"sizes: 6000 5000 4000")
        path.write_bytes(content)
        self.refused(path, "240000000000 bytes of voxels, but got 240")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_another_format(self, tmp_path, suffix):
        path = tmp_path / f"scan{suffix}"
        path.write_bytes(b"no scan" * 100)
        self.refused(path, "to be NRRD|to be a MetaImage")
        path.write_bytes(b"")
        self.refused(path, "got an empty file")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_a_header_that_is_not_understood(self, tmp_path, voxels, suffix):
        path = save(tmp_path / f"scan{suffix}", image_of(voxels))
        content = path.read_bytes()
        for kind in (b"type: short", b"ElementType = MET_SHORT"):
            content = content.replace(kind, kind[:-5] + b"thing")
        path.write_bytes(content)
        self.refused(path, "to be a whole NRRD file, but got|to be a whole MetaImage file, but got")

    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_planes_series_and_complex_numbers(self, tmp_path, voxels, suffix):
        path = tmp_path / f"scan{suffix}"
        for shape, array in (((4, 5), voxels[0]), ((3, 4, 5, 6), np.stack([voxels] * 3, axis=-1))):
            SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array, isVector=False), str(path))
            self.refused(path, rf"to hold a volume \(X, Y, Z\), but got shape \({shape[0]}, ")
        save(path, image_of(voxels.astype(np.complex64)))
        # MetaImage has no complex numbers, but two numbers a voxel.
        self.refused(path, "real numbers" if "n" in suffix else r"1 channel.* \(6, 5, 4, 2\)")
