"""One reader for the picture formats that fundus photographs and their labels come in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from monai.data import NibabelReader, PILReader
from PIL import Image, ImageOps

from medkd.data.images.readable_file import as_tuple, check_readable
from medkd.data.images.stored_values import exact_values
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["SUFFIXES", "ImageFileReader", "open_picture", "stored_channels"]

_NIFTI = (".nii", ".nii.gz")  # of one plane; a header without its data is no picture
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".bmp")
SUFFIXES = (*_PICTURES, *_NIFTI)
# Whatever a file is called, no other decoder is tried: that of EPS starts another program.
_FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "PPM", "BMP")
_MOST_PIXELS = 89_478_485  # above which Pillow warns; a fundus photograph has fewer than 50 million
_DEEP_GRAY = ("I", "F")  # first letter of Pillow's modes of more than eight bits: I, I;16, F


class ImageFileReader(PILReader):
    """Reads PNG, JPEG, TIFF, GIF, PPM, BMP and 2-D NIfTI the way a person sees them.

    A reader for MONAI's ``LoadImaged``, in a bundle ``"reader": {"_target_":
    "medkd.data.ImageFileReader", "num_channels": 3}``. The array has MONAI's (width, height) order.
    What other readers leave to chance is settled here:

    * palettes are expanded to their colors, so a mask whose palette is inverted (those of CHASE_DB1
      are) is not read as its negative; one-bit pictures become 0 and 255;
    * gray pictures of 16 bits and more keep their values; color of 16 bits keeps the upper eight;
    * an EXIF orientation is applied, because labels are drawn on the picture as it is displayed;
    * an alpha channel is dropped; a file of several frames is refused;
    * NIfTI is read by MONAI's ``NibabelReader`` and must hold one plane;
    * whole numbers stay whole numbers; see :class:`~medkd.data.VolumeFileReader` on large ids.

    A file that cannot be read is refused in one sentence with its path. The refusal comes from
    :meth:`get_data`, not :meth:`read`, because ``LoadImage`` answers a failing ``read`` by trying
    its other readers, which would take the same file wrongly.

    Args:
        num_channels: 3 for red, green, blue (a gray picture is repeated), 1 for gray. A color
            picture becomes gray by ITU-R 601-2 luma, which leaves gray colors as they are.

    Raises:
        ValueError: if ``num_channels`` is neither 1 nor 3.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "inverted.gif"
        >>> picture = Image.new("P", (4, 3), color=0)
        >>> picture.putpalette([255, 255, 255, 0, 0, 0])  # index 0 is white, 1 is black
        >>> picture.save(path)
        >>> reader = ImageFileReader(num_channels=1)
        >>> mask, header = reader.get_data(reader.read(path))
        >>> mask.shape, mask.max().item()  # (width, height)
        ((4, 3), 255)
    """

    def __init__(self, num_channels: int = 3) -> None:
        super().__init__()
        if num_channels not in (1, 3):
            raise InvalidValueError(
                f"Expected `num_channels` to be 1 or 3, but got {num_channels}."
            )
        self.num_channels = num_channels

    def verify_suffix(self, filename: Sequence[str | Path] | str | Path) -> bool:
        """Whether every file has a suffix of the formats above.

        Args:
            filename: one path or several.

        Returns:
            True if all are supported.
        """
        return all(str(name).lower().endswith(SUFFIXES) for name in as_tuple(filename))

    def read(self, data: Sequence[str | Path] | str | Path, **_: object) -> tuple[Path, ...]:
        """Note which file is to be read; :meth:`get_data` opens it (see the class).

        Args:
            data: one path, alone or as a sequence.

        Returns:
            The path as a tuple of one.
        """
        return tuple(Path(name) for name in as_tuple(data))

    def get_data(self, img: tuple[Path, ...]) -> tuple[NDArray[Any], dict[str, Any]]:
        """Decode the file.

        Args:
            img: what :meth:`read` returned.

        Returns:
            Array ``(width, height)`` for one channel or ``(width, height, 3)``, and MONAI's header.

        Raises:
            OSError: if the file does not exist or may not be read.
            ValueError: if it is empty, truncated, of another format, of several frames or planes.
        """
        if len(img) != 1:
            raise InvalidValueError(
                f"Expected one file for an image, but got {len(img)}: {list(img)}."
            )
        path = img[0]
        check_readable(path, suffixes=SUFFIXES)
        if path.name.lower().endswith(_NIFTI):
            return self._get_nifti(path)
        picture = _to_channels(_decode(path), num_channels=self.num_channels)
        array, header = super().get_data(picture)
        return self._finish(array, header)

    def _get_nifti(self, path: Path) -> tuple[NDArray[Any], dict[str, Any]]:
        reader = NibabelReader(squeeze_non_spatial_dims=False)
        try:
            array, header = reader.get_data(reader.read(path))
        except Exception as error:
            raise InvalidValueError(
                f"Expected {path} to be a whole NIfTI file, but got: {error}."
            ) from error
        plane = array.reshape(*array.shape[:2], *(size for size in array.shape[2:] if size > 1))
        if plane.ndim != 2 and not (plane.ndim == 3 and plane.shape[2] == self.num_channels):
            raise InvalidValueError(
                f"Expected {path} to hold one plane of {self.num_channels} channel(s) or of gray, "
                f"but got shape {array.shape}."
            )
        return self._finish(plane, header)

    def _finish(
        self, array: NDArray[Any], header: dict[str, Any]
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Give a gray plane its channels and say in the header where the channel axis is."""
        array = exact_values(array)
        if array.ndim == 2 and self.num_channels == 3:
            array = np.repeat(array[..., np.newaxis], 3, axis=2)
        header["spatial_shape"] = np.asarray(array.shape[:2])
        header["original_channel_dim"] = -1 if array.ndim == 3 else float("nan")
        return array, header


def stored_channels(path: str | Path) -> int:
    """How many channels a picture has as a person sees it: 1 for gray, 3 for color.

    Args:
        path: a file that :class:`ImageFileReader` reads.

    Returns:
        1 or 3. A palette counts as gray if all its colors are.

    Raises:
        OSError: if the file does not exist.
        ValueError: if it cannot be read.
    """
    array, _ = ImageFileReader(num_channels=3).get_data((Path(path),))
    gray = all(np.array_equal(array[..., 0], array[..., channel]) for channel in (1, 2))
    return 1 if gray else 3


def open_picture(path: str | Path) -> Image.Image:
    """Open a picture of the formats above, whatever it is called, without decoding its pixels.

    Args:
        path: the file.

    Returns:
        The picture, to be closed.

    Raises:
        OSError: if it cannot be opened, or is of no such format.
        ValueError: if it claims more pixels than a picture has.
    """
    try:
        picture = Image.open(path, formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidValueError(
            f"Expected {path} to be a picture of at most {_MOST_PIXELS:,} pixels, but got: {error}"
        ) from error
    if picture.width * picture.height > _MOST_PIXELS:
        picture.close()
        raise InvalidValueError(
            f"Expected {path} to be a picture of at most {_MOST_PIXELS:,} pixels, but got "
            f"{picture.width} x {picture.height}."
        )
    return picture


def _decode(path: Path) -> Image.Image:
    """The single frame of a picture, upright, with all its pixels in memory."""
    try:
        with open_picture(path) as opened:
            frames = 1 if opened.format == "MPO" else getattr(opened, "n_frames", 1)
            opened.load()
            # exif_transpose returns a copy without `format`, which the header is to state.
            upright = ImageOps.exif_transpose(opened)
            upright.format = opened.format
    except InvalidValueError:
        raise
    except Exception as error:  # decoders raise SyntaxError, struct.error, EOFError and more
        raise InvalidValueError(
            f"Expected {path} to be a whole image, but got: {error}."
        ) from error
    if frames != 1:
        raise InvalidValueError(f"Expected {path} to hold one frame, but got {frames}.")
    return upright


def _to_channels(picture: Image.Image, *, num_channels: int) -> Image.Image:
    """Colors or grays of eight bits; deeper grays as they are."""
    if picture.mode.startswith(_DEEP_GRAY):
        return picture
    if "transparency" in picture.info:
        picture = picture.convert("RGBA")  # the way Pillow wants a transparent palette expanded
    converted = picture.convert("L" if num_channels == 1 else "RGB")
    converted.format = picture.format
    return converted
