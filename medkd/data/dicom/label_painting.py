"""From the structures of a series to one label map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from medkd.data.dicom.dicom_series import DicomSeries
    from medkd.data.dicom.label_files import LabelSource
    from medkd.data.dicom.structure_choice import StructureChoice

__all__ = ["paint_labels"]

_MOST_CLASSES = 255


def paint_labels(
    sources: Sequence[LabelSource], choice: StructureChoice, series: DicomSeries
) -> tuple[NDArray[np.uint8], int]:
    """Paint structures as class indices, large ones first, so that the smaller one is kept.

    Args:
        sources: structure sets and segmentations of the series.
        choice: which structures become classes.
        series: the volume.

    Returns:
        Class indices of the shape of ``series.image``, and how many voxels more than one class
        claimed.

    Raises:
        ValueError: if a class is in two sources, or a structure does not lie on the series.
    """
    if len(choice.class_names) > _MOST_CLASSES:
        raise InvalidValueError(
            f"Expected at most {_MOST_CLASSES} structures, but got {len(choice.class_names)}."
        )
    found: dict[str, tuple[LabelSource, list[str]]] = {}
    for source in sources:
        for name in source.names:
            class_name = choice.find(name)
            if class_name is None:
                continue
            if found.setdefault(class_name, (source, []))[0] is not source:
                raise InvalidValueError(f"Expected {class_name} in one file, but it is in several.")
            found[class_name][1].append(name)
    # Masks are made twice rather than kept: each is as large as the label map.
    sizes = {name: int(_mask(*found[name], series).sum()) for name in found}
    label = np.zeros(series.image.shape, dtype=np.uint8, order="F")
    overlapping = 0
    for name in sorted(sizes, key=lambda each: -sizes[each]):
        mask = _mask(*found[name], series)
        overlapping += int((label[mask] > 0).sum())
        label[mask] = choice.class_names.index(name) + 1
    return label, overlapping


def _mask(source: LabelSource, names: Sequence[str], series: DicomSeries) -> NDArray[np.bool_]:
    """All structures of one class, which may be spelled in several ways."""
    first, *others = (source.mask(name, series) for name in names)
    for other in others:
        first |= other
    return first
