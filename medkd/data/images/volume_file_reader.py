"""One reader for the volumes that scanners and their labels are kept in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
from monai.data.image_reader import ImageReader
from monai.utils.enums import MetaKeys, SpaceKeys

from medkd._checks import check_at_least
from medkd.data.images.grid_difference import describe_difference, same_grid
from medkd.data.images.itk_volume import read_itk_volume
from medkd.data.images.readable_file import as_tuple, check_readable
from medkd.data.images.stored_values import exact_values
from medkd.data.images.volume_formats import VOLUME_SUFFIXES, is_itk_volume
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nibabel.nifti1 import Nifti1Pair
    from numpy.typing import NDArray

__all__ = ["VolumeFileReader"]

_SPATIAL_DIMS = 3


class VolumeFileReader(ImageReader):
    """Reads NIfTI, NRRD and MetaImage volumes: values as the header scales them, and their place.

    A reader for MONAI's ``LoadImaged``, in a bundle ``"reader": {"_target_":
    "medkd.data.VolumeFileReader", "num_channels": 1}``. Several channels come as several files on
    one grid (nnU-Net), as the fourth axis of one of NIfTI (Medical Segmentation Decathlon), or as
    several numbers a voxel of NRRD and MetaImage, which SimpleITK reads; a fourth axis of another
    length, such as time, is refused. Wherever a format counts left and posterior, it is turned to
    nibabel's right and anterior. The header's free text, which may name a patient, is not kept.

    Whole numbers stay whole numbers, so that large ids in a label stay apart. MONAI's
    ``LoadImaged`` makes float32 of everything it reads, which merges ids above 2^24, unless it is
    given ``"dtype": null``, as for labels.

    A file that cannot be read is refused in one sentence with its path, from :meth:`get_data`, not
    :meth:`read`, because ``LoadImage`` answers a failing ``read`` by trying its other readers.

    Args:
        num_channels: how many channels a volume has.

    Raises:
        ValueError: if ``num_channels`` is below one.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "scan.nii.gz"
        >>> scan = np.full((4, 3, 2), -1000, dtype=np.int16)
        >>> nibabel.save(nibabel.Nifti1Image(scan, np.diag([1, 1, 5, 1])), path)
        >>> reader = VolumeFileReader()
        >>> volume, header = reader.get_data(reader.read(path))
        >>> volume.shape, float(volume.max()), header["affine"].diagonal().tolist()
        ((4, 3, 2), -1000.0, [1.0, 1.0, 5.0, 1.0])
    """

    def __init__(self, num_channels: int = 1) -> None:
        super().__init__()
        check_at_least(num_channels, 1, "num_channels")
        self.num_channels = num_channels

    def verify_suffix(self, filename: Sequence[str | Path] | str | Path) -> bool:
        """Whether every file has a suffix of NIfTI, NRRD or MetaImage.

        Args:
            filename: one path or several.

        Returns:
            True if all are supported.
        """
        return all(str(name).lower().endswith(VOLUME_SUFFIXES) for name in as_tuple(filename))

    def read(self, data: Sequence[str | Path] | str | Path, **_: object) -> tuple[Path, ...]:
        """Note which files are to be read; :meth:`get_data` opens them (see the class).

        Args:
            data: one path, or one a channel.

        Returns:
            The paths.
        """
        return tuple(Path(name) for name in as_tuple(data))

    def get_data(self, img: tuple[Path, ...]) -> tuple[NDArray[Any], dict[str, Any]]:
        """Decode a volume.

        Args:
            img: what :meth:`read` returned.

        Returns:
            Array ``(X, Y, Z)`` for one channel or ``(X, Y, Z, C)``, in file order, of whole numbers
            where the file has such and else of float32 (float64 where values exceed 2^24), and
            MONAI's header with the affine, voxel index to mm, RAS.

        Raises:
            OSError: if a file does not exist or may not be read.
            ValueError: if one is truncated, of another format, not a volume, of complex or colored
                voxels, without a usable affine, or has its voxels outside its own folder; or the
                channels are not as many as stated or lie on different grids.
        """
        volumes = [_decode(path) for path in img]
        first, affine = volumes[0]
        for path, (volume, other) in zip(img[1:], volumes[1:], strict=True):
            _check_same_grid(img[0], first.shape, affine, path, volume.shape, other)
        array = np.stack([volume for volume, _ in volumes], axis=-1) if volumes[1:] else first
        self._check_channels(array, img)
        if array.ndim > _SPATIAL_DIMS and self.num_channels == 1:
            array = array[..., 0]
        header = {
            MetaKeys.AFFINE: affine,
            MetaKeys.ORIGINAL_AFFINE: affine.copy(),
            MetaKeys.SPATIAL_SHAPE: np.asarray(array.shape[:_SPATIAL_DIMS]),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.ORIGINAL_CHANNEL_DIM: -1 if array.ndim > _SPATIAL_DIMS else float("nan"),
        }
        return array, {str(key.value): value for key, value in header.items()}

    def _check_channels(self, array: NDArray[Any], paths: Sequence[Path]) -> None:
        found = array.shape[_SPATIAL_DIMS:] or (1,)
        if found != (self.num_channels,):
            what = f"{len(paths)} files from {paths[0]} on" if len(paths) > 1 else str(paths[0])
            raise InvalidValueError(
                f"Expected {what} to hold {self.num_channels} channel(s) of one volume, but got "
                f"shape {array.shape}: a fourth axis must be the channels, not time."
            )


def _decode(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Values and affine of one file."""
    check_readable(path, suffixes=VOLUME_SUFFIXES)
    array, affine = read_itk_volume(path) if is_itk_volume(path) else _decode_nifti(path)
    if array.ndim < _SPATIAL_DIMS or 0 in array.shape:
        raise InvalidValueError(
            f"Expected {path} to hold a volume (X, Y, Z), but got shape {array.shape}."
        )
    if not (np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > 0):
        raise InvalidValueError(
            f"Expected {path} to say where its voxels lie, but got the affine {affine.tolist()}."
        )
    return exact_values(array), affine


def _decode_nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    try:
        image: Nifti1Pair = nibabel.load(path)
        affine = np.asarray(image.affine, dtype=np.float64)
        stored = image.get_data_dtype()
        # Whatever the header scales is scaled in float64: 10 times 0.1 is 1, a label's value.
        array = np.asanyarray(image.dataobj) if _is_number(stored) else None
    except Exception as error:  # decoders raise zlib.error, EOFError, ImageFileError and more
        raise InvalidValueError(
            f"Expected {path} to be a whole NIfTI file, but got: {_first_line(error)}."
        ) from error
    if array is None:
        raise InvalidValueError(
            f"Expected {path} to hold real numbers, but got voxels of {stored}."
        )
    return array, affine


def _is_number(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "iufb" and dtype.itemsize <= np.dtype(np.float64).itemsize


def _check_same_grid(
    path: Path,
    shape: tuple[int, ...],
    affine: NDArray[np.float64],
    other_path: Path,
    other_shape: tuple[int, ...],
    other: NDArray[np.float64],
) -> None:
    if other_shape != shape:
        raise InvalidValueError(
            f"Expected {other_path} to be of the shape of {path}, {shape}, but got {other_shape}."
        )
    size = shape[:_SPATIAL_DIMS]
    if not same_grid(affine, other, shape=size):
        apart = describe_difference(affine, other, shape=size)
        raise InvalidValueError(
            f"Expected {other_path} to lie on the grid of {path}, but they are {apart} apart."
        )


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
