"""What the values stored in label files most likely mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.data.images.image_file_reader import ImageFileReader
from medkd.data.images.volume_file_reader import VolumeFileReader
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["name_classes", "propose_label_values", "rank_label_values"]

_MOST_CLASSES = 256
_WIDEST_COUNT = 1 << 16
_SHOWN = 10


def propose_label_values(
    folder: Path, labels: Sequence[str], *, spatial_dims: int, tolerant: bool = False
) -> dict[int, int]:
    """Read the label files and pair each stored value with a class index.

    Args:
        folder: the folder.
        labels: label files relative to it.
        spatial_dims: 2 for pictures, in which 0 and 255, or 0 to C - 1, are understood; 3 for
            volumes, in which any whole numbers are classes in their order, 0 the background.
        tolerant: pass over volumes that cannot be read and over fractions.

    Returns:
        Stored value to class index.

    Raises:
        OSError: if a file may not be read.
        ValueError: if a file cannot be read, or its values are not understood.
    """
    if spatial_dims == 2:
        return _understand_picture(_picture_values(folder, labels))
    values: set[int] = set()
    for label in labels:
        values |= _stored_values(folder / label, tolerant=tolerant)
    if len(values) > _MOST_CLASSES:
        raise InvalidValueError(
            f"Expected the labels to hold at most {_MOST_CLASSES} values, but got {len(values)}; "
            "are they label maps? If so, state `label_values`."
        )
    if not values - {0}:
        if not tolerant:
            raise InvalidValueError("Expected the labels to hold a class beside 0, but got none.")
        values = {1}
    return rank_label_values(dict.fromkeys(values, ""))


def rank_label_values(names: Mapping[int, str]) -> dict[int, int]:
    """Classes in the order of their values, 0 first whether it occurs or not.

    Args:
        names: stored value to the name of its class, or to an empty text; values of one name are
            one class, and those of ``background`` are in class 0.

    Returns:
        Stored value to class index.

    Example:
        >>> rank_label_values({500: "", 0: "", 205: ""})
        {0: 0, 205: 1, 500: 2}
        >>> rank_label_values({0: "air", 1: "kidney", 2: "tumor", 3: "kidney"})
        {0: 0, 1: 1, 2: 2, 3: 1}
    """
    indices: dict[str | int, int] = {"background": 0}
    label_values = {0: 0}
    for value in sorted(names.keys() - {0}):
        label_values[value] = indices.setdefault(names[value] or value, len(indices))
    return label_values


def name_classes(
    label_values: Mapping[int, int],
    *,
    names: Sequence[str] | None = None,
    known: Mapping[int, str] | None = None,
) -> dict[str, int]:
    """Name every class: as told, else as known for its stored value, else by that value.

    Args:
        label_values: stored value to class index.
        names: names in the order of the index, ``background`` first.
        known: stored value to name.

    Returns:
        Class name to class index.

    Raises:
        ValueError: if there are not as many different names as classes.

    Example:
        >>> name_classes({0: 0, 205: 1, 500: 2}, known={205: "left ventricle"})
        {'background': 0, 'left ventricle': 1, 'class_500': 2}
    """
    num_classes = max(label_values.values()) + 1
    if names is None:
        stored = {label_values[value]: value for value in sorted(label_values, reverse=True)}
        fallback = "foreground" if num_classes == 2 else "class_{}"
        others = (stored.get(index, index) for index in range(1, num_classes))
        names = ["background", *((known or {}).get(v, fallback.format(v)) for v in others)]
    if len(names) != num_classes or len(set(names)) != len(names):
        raise InvalidValueError(
            f"Expected {num_classes} different class names, but got {list(names)}."
        )
    return {name: index for index, name in enumerate(names)}


def _stored_values(path: Path, *, tolerant: bool) -> set[int]:
    try:
        array, _ = VolumeFileReader().get_data((path,))
    except (OSError, ValueError):
        if not tolerant:
            raise
        return set()
    values: set[int] = set()
    for part in np.moveaxis(array, -1, 0):
        whole = np.nan_to_num(part).astype(np.int64)
        if not tolerant and not np.array_equal(whole, part):
            odd = part[whole != part].flat[0]
            raise InvalidValueError(
                f"Expected the label {path} to hold whole numbers, but got {odd:g}; "
                "`medkd data check` on the folder lists all such files."
            )
        values |= _distinct(whole[whole == part])
    return values


def _distinct(whole: NDArray[np.int64]) -> set[int]:
    """Distinct values; counting is many times faster than sorting where they are close."""
    if whole.size == 0:
        return set()
    low = whole.min()
    if whole.max() - low >= _WIDEST_COUNT:
        return set(np.unique(whole).tolist())
    return set((np.flatnonzero(np.bincount((whole - low).ravel())) + low).tolist())


def _picture_values(folder: Path, labels: Sequence[str]) -> set[float]:
    reader = ImageFileReader(num_channels=1)
    values: set[float] = set()
    for path in labels:
        values |= set(np.unique(reader.get_data((folder / path,))[0]).tolist())
        if len(values) > _MOST_CLASSES:
            break
    return values


def _understand_picture(values: set[float]) -> dict[int, int]:
    """Strict, because a label saved as JPEG, or smoothed, has many values that mean nothing."""
    if values == {0, 255}:
        return {0: 0, 255: 1}
    if len(values) > 1 and values == set(range(len(values))):
        return {index: index for index in range(len(values))}
    shown = ", ".join(f"{value:g}" for value in sorted(values)[:_SHOWN])
    raise InvalidValueError(
        f"Expected the labels to hold the values 0 and 255, or 0 to C - 1, but got {shown}"
        f"{' and more' if len(values) > _SHOWN else ''}; state `label_values`."
    )
