"""Reading a volume from h5 files with ``image`` and ``label``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from medkd.data.images.readable_file import check_readable
from medkd.data.images.stored_array import stored_array
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_ssl4mis_volume"]

_PARTS = ("image", "label")
_LEFT_ATRIUM = "mri_norm2.h5"  # made from NRRD, so its axes are x, y, z
_MOST_OF_A_BYTE = 255


def read_ssl4mis_volume(paths: Sequence[Path]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Read a volume, or stack its slices.

    UA-MT's ``mri_norm2.h5`` hold ``(x, y, z)``; all other files hold ``(slice, row, column)``, or
    ``(row, column)`` each, as SimpleITK hands out arrays.

    Args:
        paths: the volume's only file, or those of its slices in their order.

    Returns:
        Image, float32, and label, uint8 or where that is too small int32, both ``(x, y, z)``; x are
        columns, y rows and z slices.

    Raises:
        OSError: if a file is not there or may not be read.
        ValueError: if one is no whole h5 file, lacks a part, is neither volume nor slice, its parts
            or the slices differ in size, or a label is no whole number of 0 or more.
    """
    read = [_read(path) for path in paths]
    if len(read) > 1 or read[0]["image"].ndim == 2:
        _check_slices(paths, [parts["image"].shape for parts in read])
        stacked = {part: np.stack([parts[part] for parts in read]) for part in _PARTS}
    else:
        stacked = read[0]
        if stacked["image"].ndim != 3:
            raise InvalidValueError(
                f"Expected {paths[0]} to hold a volume or a slice, but got shape "
                f"{stacked['image'].shape}."
            )
    image, label = stacked["image"].astype(np.float32), _whole(stacked["label"], path=paths[0])
    if paths[0].name == _LEFT_ATRIUM:
        return image, label
    return image.transpose(2, 1, 0), label.transpose(2, 1, 0)


def _read(path: Path) -> dict[str, NDArray[Any]]:
    check_readable(path, suffixes=(".h5",))
    try:
        with h5py.File(path, "r", locking=False) as file:
            there = sorted(file)
            parts = {part: np.asarray(stored_array(file, part)) for part in _PARTS if part in file}
    except OSError as error:
        raise InvalidValueError(
            f"Expected {path} to be a whole h5 file, but got: {error}."
        ) from error
    if len(parts) < len(_PARTS):
        raise InvalidValueError(
            f"Expected {path} to hold {' and '.join(_PARTS)}, but got {', '.join(there) or 'none'}."
        )
    if parts["image"].shape != parts["label"].shape:
        raise InvalidValueError(
            f"Expected image and label of {path} to be of one size, but got "
            f"{parts['image'].shape} and {parts['label'].shape}."
        )
    return parts


def _check_slices(paths: Sequence[Path], shapes: Sequence[tuple[int, ...]]) -> None:
    for path, shape in zip(paths, shapes, strict=True):
        if len(shape) != 2 or shape != shapes[0]:
            raise InvalidValueError(
                f"Expected {path} to hold a slice of the size of {paths[0].name}, {shapes[0]}, "
                f"but got shape {shape}."
            )


def _whole(label: NDArray[Any], *, path: Path) -> NDArray[Any]:
    whole = np.nan_to_num(label, posinf=-1, neginf=-1).astype(np.int64)
    odd = label[(whole != label) | (whole < 0)]
    if odd.size:
        raise InvalidValueError(
            f"Expected the label of {path} to hold whole numbers of 0 or more, but got "
            f"{odd.flat[0]:g}."
        )
    return whole.astype(np.uint8 if whole.max() <= _MOST_OF_A_BYTE else np.int32)
