from __future__ import annotations

import warnings

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose, LoadImaged
from PIL import Image

from medkd.data import ImageFileReader, stored_channels

WIDTH, HEIGHT = 13, 7


@pytest.fixture
def color():
    return np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def gray():
    return np.random.default_rng(1).integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)


def read(path, num_channels):
    """Pixels as (height, width[, channels]), the way Pillow's arrays are."""
    reader = ImageFileReader(num_channels=num_channels)
    array, _ = reader.get_data(reader.read(path))
    return np.moveaxis(array, 0, 1)


class TestValues:
    @pytest.mark.parametrize("suffix", ["png", "tif", "ppm", "bmp"])
    def test_color(self, tmp_path, color, suffix):
        Image.fromarray(color).save(tmp_path / f"x.{suffix}")
        np.testing.assert_array_equal(read(tmp_path / f"x.{suffix}", 3), color)

    def test_jpeg_as_pillow_decodes_it(self, tmp_path, color):
        Image.fromarray(color).save(tmp_path / "x.JPG")
        expected = np.asarray(Image.open(tmp_path / "x.JPG"))
        np.testing.assert_array_equal(read(tmp_path / "x.JPG", 3), expected)

    @pytest.mark.parametrize("suffix", ["png", "tif", "gif", "pgm", "bmp"])
    def test_gray(self, tmp_path, gray, suffix):
        Image.fromarray(gray).save(tmp_path / f"x.{suffix}")
        np.testing.assert_array_equal(read(tmp_path / f"x.{suffix}", 1), gray)

    def test_gray_is_repeated_for_three_channels(self, tmp_path, gray):
        Image.fromarray(gray).save(tmp_path / "x.png")
        expected = np.stack([gray] * 3, axis=-1)
        np.testing.assert_array_equal(read(tmp_path / "x.png", 3), expected)

    def test_color_becomes_luma_for_one_channel(self, tmp_path, color):
        Image.fromarray(color).save(tmp_path / "x.png")
        luma = color @ np.array([0.299, 0.587, 0.114])
        assert np.abs(read(tmp_path / "x.png", 1) - luma).max() <= 1

    @pytest.mark.parametrize("value", [0, 1, 2, 254, 255])
    def test_gray_colors_are_left_as_they_are(self, tmp_path, value):
        Image.new("RGB", (WIDTH, HEIGHT), (value,) * 3).save(tmp_path / "x.png")
        assert (read(tmp_path / "x.png", 1) == value).all()

    @pytest.mark.parametrize("suffix", ["gif", "png"])
    def test_an_inverted_palette_is_not_read_as_the_negative(self, tmp_path, gray, suffix):
        index = (gray > 100).astype(np.uint8)
        picture = Image.fromarray(index).convert("P")
        picture.putpalette([255, 255, 255, 0, 0, 0])
        picture.save(tmp_path / f"x.{suffix}")
        np.testing.assert_array_equal(read(tmp_path / f"x.{suffix}", 1), 255 * (1 - index))

    def test_a_palette_with_transparency(self, tmp_path):
        picture = Image.new("P", (WIDTH, HEIGHT), 1)
        picture.putpalette([0, 0, 0, 10, 20, 30])
        picture.save(tmp_path / "x.png", transparency=b"\x00\x80")
        assert read(tmp_path / "x.png", 3)[0, 0].tolist() == [10, 20, 30]

    def test_one_bit_becomes_0_and_255(self, tmp_path, gray):
        Image.fromarray(gray).convert("1", dither=Image.Dither.NONE).save(tmp_path / "x.png")
        assert np.unique(read(tmp_path / "x.png", 1)).tolist() == [0, 255]

    @pytest.mark.parametrize("suffix", ["png", "tif"])
    @pytest.mark.parametrize("num_channels", [1, 3])
    def test_16_bit_gray_keeps_its_values(self, tmp_path, suffix, num_channels):
        deep = np.random.default_rng(2).integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
        Image.fromarray(deep).save(tmp_path / f"x.{suffix}")
        values = read(tmp_path / f"x.{suffix}", num_channels)
        np.testing.assert_array_equal(values if num_channels == 1 else values[..., 2], deep)

    def test_float_tiff_keeps_its_values(self, tmp_path):
        values = np.linspace(-1, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
        Image.fromarray(values).save(tmp_path / "x.tif")
        np.testing.assert_array_equal(read(tmp_path / "x.tif", 1), values)

    def test_alpha_is_dropped(self, tmp_path, color):
        alpha = np.full((HEIGHT, WIDTH, 1), 77, dtype=np.uint8)
        Image.fromarray(np.concatenate([color, alpha], axis=2)).save(tmp_path / "x.png")
        np.testing.assert_array_equal(read(tmp_path / "x.png", 3), color)

    def test_exif_orientation_is_applied(self, tmp_path, color):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned by 90 degrees clockwise
        Image.fromarray(color).save(tmp_path / "x.png", exif=exif)
        np.testing.assert_array_equal(read(tmp_path / "x.png", 3), np.rot90(color, k=-1))

    @pytest.mark.parametrize("shape", [(WIDTH, HEIGHT), (WIDTH, HEIGHT, 1), (WIDTH, HEIGHT, 1, 1)])
    def test_nifti_of_one_plane(self, tmp_path, gray, shape):
        nib.save(nib.Nifti1Image(gray.T.reshape(shape), np.eye(4)), tmp_path / "x.nii.gz")
        np.testing.assert_array_equal(read(tmp_path / "x.nii.gz", 1), gray)
        np.testing.assert_array_equal(read(tmp_path / "x.nii.gz", 3)[..., 1], gray)

    def test_nifti_of_three_channels(self, tmp_path, color):
        stored = color.transpose(1, 0, 2)[:, :, np.newaxis]
        nib.save(nib.Nifti1Image(stored, np.eye(4)), tmp_path / "x.nii")
        np.testing.assert_array_equal(read(tmp_path / "x.nii", 3), color)


class TestInLoadImaged:
    def test_from_json(self, tmp_path, color):
        Image.fromarray(color).save(tmp_path / "x.png")
        parser = ConfigParser(
            {
                "load": {
                    "_target_": "LoadImaged",
                    "keys": "image",
                    "reader": {"_target_": "medkd.data.ImageFileReader", "num_channels": 3},
                    "ensure_channel_first": True,
                    "image_only": True,
                }
            }
        )
        image = parser.get_parsed_content("load")({"image": str(tmp_path / "x.png")})["image"]
        assert image.shape == (3, WIDTH, HEIGHT)
        assert image.dtype == torch.float32
        assert image.meta["filename_or_obj"] == str(tmp_path / "x.png")
        np.testing.assert_array_equal(image.numpy(), color.transpose(2, 1, 0))

    @pytest.mark.parametrize(("suffix", "num_channels"), [("png", 1), ("nii", 1), ("nii", 3)])
    def test_channel_first(self, tmp_path, gray, suffix, num_channels):
        path = tmp_path / f"x.{suffix}"
        if suffix == "nii":
            nib.save(nib.Nifti1Image(gray.T, np.eye(4)), path)
        else:
            Image.fromarray(gray).save(path)
        load = LoadImaged("x", reader=ImageFileReader(num_channels), ensure_channel_first=True)
        image = load({"x": path})["x"]
        assert image.shape == (num_channels, WIDTH, HEIGHT)
        np.testing.assert_array_equal(image.numpy()[0], gray.T)

    def test_another_reader_is_not_tried_and_our_sentence_is_the_cause(self, tmp_path, gray):
        frames = [Image.fromarray(gray), Image.fromarray(255 - gray)]
        frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
        load = Compose([LoadImaged("x", reader=ImageFileReader(1), ensure_channel_first=True)])
        with pytest.raises(RuntimeError, match="applying transform") as caught:
            load({"x": tmp_path / "x.gif"})
        assert "to hold one frame, but got 2" in str(caught.value.__cause__)


class TestRejects:
    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "gif", "ppm", "bmp"])
    @pytest.mark.parametrize("kept", [0.3, 0.7])
    def test_rejects_a_truncated_file(self, tmp_path, suffix, kept):
        pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
        path = tmp_path / f"x.{suffix}"
        Image.fromarray(pixels).save(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
        with pytest.raises(ValueError, match=rf"Expected \S+x.{suffix} to be a whole image"):
            read(path, 3)

    @pytest.mark.parametrize("suffix", ["nii", "nii.gz"])
    def test_rejects_a_truncated_nifti(self, tmp_path, suffix):
        values = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
        path = tmp_path / f"x.{suffix}"
        nib.save(nib.Nifti1Image(values, np.eye(4)), path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(ValueError, match=rf"Expected \S+x.{suffix} to be a whole NIfTI file"):
            read(path, 1)

    def test_rejects_a_file_of_another_kind(self, tmp_path):
        (tmp_path / "x.png").write_text("<html>Not found</html>")
        with pytest.raises(
            ValueError, match=r"x.png to be a whole image, but got: cannot identify"
        ):
            read(tmp_path / "x.png", 3)

    @pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
    def test_rejects_a_program_called_a_picture(self, tmp_path, monkeypatch, suffix):
        """Pillow would hand it to Ghostscript, which runs it."""
        started = []
        monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *_: started.append(1))
        path = tmp_path / f"x.{suffix}"
        path.write_text(
            "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 3\n%%EndComments\nshowpage\n%%EOF\n"
        )
        with Image.open(path) as picture:
            assert picture.format == "EPS"
        with pytest.raises(ValueError, match=r"to be a whole image, but got: cannot identify"):
            read(path, 3)
        assert not started

    @pytest.mark.parametrize("action", ["error", "ignore"])
    @pytest.mark.parametrize("side", [9_500, 14_000])
    def test_rejects_more_pixels_than_a_picture_has(self, tmp_path, action, side):
        """A file of some kilobytes that would fill the memory; Pillow warns, or raises its own."""
        Image.new("1", (side, side)).save(tmp_path / "x.png")
        with warnings.catch_warnings():
            warnings.simplefilter(action, Image.DecompressionBombWarning)
            with pytest.raises(ValueError, match=r"x.png to be a picture of at most 89,478,485 p"):
                read(tmp_path / "x.png", 1)

    def test_rejects_an_empty_file(self, tmp_path):
        (tmp_path / "x.png").touch()
        with pytest.raises(ValueError, match=r"x.png to be an image, but got an empty file"):
            read(tmp_path / "x.png", 3)

    def test_rejects_a_git_lfs_pointer(self, tmp_path):
        (tmp_path / "x.tif").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0")
        with pytest.raises(ValueError, match=r"x.tif to be an image, but got a Git LFS pointer"):
            read(tmp_path / "x.tif", 3)

    def test_rejects_an_absent_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"at \S+x.png, but there is none"):
            read(tmp_path / "x.png", 3)

    def test_rejects_another_format(self, tmp_path):
        (tmp_path / "x.webp").write_bytes(b"RIFF")
        with pytest.raises(ValueError, match=r"x.webp to end with one of .png, .* got '.webp'"):
            read(tmp_path / "x.webp", 3)

    @pytest.mark.parametrize("suffix", ["gif", "tif"])
    def test_rejects_several_frames(self, tmp_path, gray, suffix):
        frames = [Image.fromarray(gray), Image.fromarray(255 - gray)]
        frames[0].save(tmp_path / f"x.{suffix}", save_all=True, append_images=frames[1:])
        with pytest.raises(ValueError, match=rf"x.{suffix} to hold one frame, but got 2"):
            read(tmp_path / f"x.{suffix}", 1)

    def test_rejects_a_volume(self, tmp_path):
        nib.save(nib.Nifti1Image(np.zeros((5, 4, 6), np.float32), np.eye(4)), tmp_path / "x.nii")
        with pytest.raises(ValueError, match=r"x.nii to hold one plane .* got shape \(5, 4, 6\)"):
            read(tmp_path / "x.nii", 1)

    def test_rejects_several_files(self, tmp_path):
        reader = ImageFileReader()
        with pytest.raises(ValueError, match="Expected one file for an image, but got 2"):
            reader.get_data(reader.read([tmp_path / "a.png", tmp_path / "b.png"]))

    @pytest.mark.parametrize("num_channels", [0, 2, 4])
    def test_rejects_other_channels(self, num_channels):
        with pytest.raises(
            ValueError, match=f"`num_channels` to be 1 or 3, but got {num_channels}"
        ):
            ImageFileReader(num_channels)


def test_stored_channels(tmp_path, color, gray):
    Image.fromarray(color).save(tmp_path / "color.png")
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray).convert("RGB").save(tmp_path / "gray_in_rgb.png")
    names = ("color.png", "gray.png", "gray_in_rgb.png")
    assert [stored_channels(tmp_path / name) for name in names] == [3, 1, 1]


@pytest.mark.parametrize(("name", "known"), [("x.PNG", True), ("x.nii.gz", True), ("x.dcm", False)])
def test_verify_suffix(name, known):
    assert ImageFileReader().verify_suffix(name) is known
    assert ImageFileReader().verify_suffix(["x.png", name]) is known


@pytest.mark.parametrize("name", ["label.tif", "label.nii"])
def test_large_ids_of_a_label_stay_apart(name, tmp_path):
    stored = np.array([[312782546, 312782550, 0], [7, 40000, 1]], dtype=np.int32)
    if name.endswith("nii"):
        nib.save(nib.Nifti1Image(stored.T, np.eye(4)), tmp_path / name)
    else:
        Image.fromarray(stored).save(tmp_path / name)
    load = LoadImaged("x", reader=ImageFileReader(1), ensure_channel_first=True, dtype=None)
    assert load({"x": tmp_path / name})["x"][0].T.tolist() == stored.tolist()
