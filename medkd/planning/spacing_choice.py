"""The spacing that every volume is resampled to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.planning.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["choose_spacing", "resampled_shape"]

_COARSE = 3  # times the spacing of the other axes, from where an axis counts as much coarser
_FINE_PERCENTILE = 10


def choose_spacing(spacings: Sequence[Sequence[float]], shapes: Sequence[Sequence[int]]) -> Choice:
    """The median spacing; along a much coarser axis that of the finer volumes.

    Where one axis has more than three times the spacing of the others and less than a third of
    their voxels, the median would blur the volumes with thin slices, and those hold what the thick
    ones lost: the 10th percentile is taken, but nothing finer than the other axes.

    Args:
        spacings: mm along each axis, one entry a case.
        shapes: voxels along each axis, one entry a case.

    Returns:
        mm along each axis.

    Example:
        >>> choose_spacing([(1, 1, 5), (1, 1, 8), (1, 1, 8)], [(256, 256, 20)] * 3).value
        [1.0, 1.0, 5.6]

    References:
        F. Isensee et al. nnU-Net: a self-configuring method for deep learning-based biomedical
        image segmentation. Nature Methods 18, 203-211, 2021.
    """
    array = np.asarray(spacings, dtype=np.float64)
    spacing, size = np.median(array, axis=0), np.median(np.asarray(shapes), axis=0)
    coarse = int(np.argmax(spacing))
    others = [axis for axis in range(len(spacing)) if axis != coarse]
    widest = max(spacing[axis] for axis in others)
    reason = f"the median of the {len(array)} training volumes"
    if spacing[coarse] > _COARSE * widest and size[coarse] * _COARSE < min(size[others]):
        fine = max(np.percentile(array[:, coarse], _FINE_PERCENTILE), widest)
        reason += (
            f"; along axis {coarse}, whose slices are {spacing[coarse]:g} mm apart in the middle "
            f"of the set, the {_FINE_PERCENTILE}th percentile, so that thin slices are not blurred"
        )
        spacing[coarse] = fine
    reason += ". Every volume is resampled to it, and the result is brought back to its own grid"
    return Choice([float(f"{mm:.6g}") for mm in spacing], f"{reason}.")


def resampled_shape(
    shape: Sequence[int], spacing: Sequence[float], target: Sequence[float]
) -> tuple[int, ...]:
    """Voxels along each axis after resampling.

    Args:
        shape: voxels along each axis.
        spacing: mm along each axis.
        target: mm along each axis after it.

    Returns:
        At least one voxel along each axis.

    Example:
        >>> resampled_shape((100, 100, 20), (1.0, 1.0, 5.0), (2.0, 2.0, 2.5))
        (50, 50, 40)
    """
    return tuple(
        max(1, round(voxels * mm / new))
        for voxels, mm, new in zip(shape, spacing, target, strict=True)
    )
