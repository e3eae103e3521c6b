"""From class indices back to the values that label files store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    import torch
    from numpy.typing import NDArray

__all__ = ["decode_label", "label_value_table"]

# In the order of preference: what every viewer knows comes first, and floats never do, for a
# float32 merges whole numbers above 2^24.
_DTYPES = (np.uint8, np.int16, np.uint16, np.int32, np.uint32)
_SHOWN = 8


def label_value_table(label_values: Sequence[int]) -> NDArray[Any]:
    """The values of all classes, in the smallest integers that hold them.

    Args:
        label_values: one whole number a class, in the order of the class index, as
            :attr:`medkd.data.Manifest.written_label_values` lists them.

    Returns:
        ``(num_classes,)`` of uint8, int16, uint16, int32 or uint32.

    Raises:
        TypeError: if a value is no whole number.
        ValueError: if there is none, two classes have one value, or no such type holds them all.

    Example:
        >>> label_value_table([0, 1, 2, 4]).dtype, label_value_table([0, 312782546]).dtype
        (dtype('uint8'), dtype('int32'))
    """
    values: list[Any] = list(label_values)  # Any: what comes from JSON may be a float
    if not all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values):
        raise InvalidTypeError(f"Expected `label_values` to be whole numbers, but got {values}.")
    if not values or len(set(values)) < len(values):
        raise InvalidValueError(
            f"Expected `label_values` to have one value of its own for each class, but got "
            f"{values}."
        )
    for dtype in _DTYPES:
        limits = np.iinfo(dtype)
        if limits.min <= min(values) and max(values) <= limits.max:
            return np.array(values, dtype=dtype)
    raise InvalidValueError(
        f"Expected `label_values` that integers of 32 bits hold, but got {min(values)} to "
        f"{max(values)}."
    )


def decode_label(indices: torch.Tensor, table: NDArray[Any], *, key: Hashable) -> NDArray[Any]:
    """Replace the class index of each voxel by the value of its class.

    Args:
        indices: class indices of any shape, integers.
        table: what :func:`label_value_table` made.
        key: what the map is called, for messages.

    Returns:
        The values, of the indices' shape and the table's type.

    Raises:
        ValueError: if the indices are no integers, or one is of no class.

    Example:
        >>> import torch
        >>> table = label_value_table([0, 1, 2, 4])
        >>> decode_label(torch.tensor([3, 0]), table, key="segmentation").tolist()
        [4, 0]
    """
    array = indices.cpu().numpy()
    if array.dtype.kind not in "iu":
        raise InvalidValueError(
            f"Expected `{key}` to be class indices, integers, for `label_values` are given, but "
            f"got {indices.dtype}."
        )
    if array.size and (array.min() < 0 or array.max() >= len(table)):
        unknown = np.unique(array[(array < 0) | (array >= len(table))])[:_SHOWN].tolist()
        raise InvalidValueError(
            f"Expected `{key}` to hold class indices from 0 to {len(table) - 1}, one for each of "
            f"the {len(table)} `label_values`, but got {unknown}."
        )
    decoded: NDArray[Any] = table[array]
    return decoded
