"""From class indices back to the values that a data set's own labels have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["label_table"]

_DTYPES = (np.uint8, np.int16, np.int32)


def label_table(
    label_values: Sequence[int], dtypes: Sequence[type[np.integer[Any]]] = _DTYPES
) -> NDArray[Any]:
    """The value of each class, as an array that a map of indices is taken from.

    It is of integers, for float32 has no 312782547.

    Args:
        label_values: one value a class, in the order of their indices, all different.
        dtypes: what may be written, the smallest first.

    Returns:
        ``(C,)``, of the first dtype that holds all values.

    Raises:
        ValueError: if there is no value, one stands twice, or none of the dtypes holds them.

    Example:
        >>> label_table([0, 1, 2, 4])[np.array([3, 0])]
        array([4, 0], dtype=uint8)
        >>> label_table([0, 312782547]).dtype
        dtype('int32')
    """
    values = [int(value) for value in label_values]
    if not values or len(set(values)) < len(values):
        raise InvalidValueError(
            f"Expected `label_values` of one value a class, all different, but got {values}."
        )
    for dtype in dtypes:
        limits = np.iinfo(dtype)
        if limits.min <= min(values) and max(values) <= limits.max:
            return np.array(values, dtype=dtype)
    limits = np.iinfo(dtypes[-1])
    raise InvalidValueError(
        f"Expected `label_values` from {limits.min} to {limits.max}, which the format can hold, "
        f"but got {values}."
    )
