"""Arrays of the types that PyTorch works with, without a value being lost on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["exact_values"]

# PyTorch knows these unsigned types, but can neither compare nor sum them.
_WIDER = {"b1": np.uint8, "u2": np.int32, "u4": np.int64, "u8": np.int64}
_LARGEST_IN_FLOAT32 = 2**24  # up to which it holds every whole number


def exact_values(array: NDArray[Any]) -> NDArray[Any]:
    """The values of a file, integers as integers, so that large ids in labels stay apart.

    Args:
        array: real numbers, as stored, or as a header scaled them.

    Returns:
        The same array, or a copy of another type: unsigned integers above 8 bits become signed ones
        that hold them, floats become float32 unless a value is above 2^24, from where on a float32
        no longer holds every whole number.

    Example:
        >>> exact_values(np.array([40000], dtype=np.uint16)).dtype
        dtype('int32')
        >>> exact_values(np.array([0.5])).dtype, exact_values(np.array([312782546.0])).dtype
        (dtype('float32'), dtype('float64'))
    """
    if array.dtype.kind == "f":
        # Infinity and NaN compare as they should: neither asks for more precision.
        finite = array.itemsize > np.dtype(np.float32).itemsize and bool(array.size)
        is_large = finite and np.any((np.abs(array) > _LARGEST_IN_FLOAT32) & np.isfinite(array))
        target: Any = np.float64 if is_large else np.float32
    else:
        target = _WIDER.get(array.dtype.str[1:], array.dtype.newbyteorder("="))
    return array.astype(target, copy=False)
