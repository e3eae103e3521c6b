"""The largest patch that fits the memory, near to a cube in mm."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError
from medkd.planning.architecture_choice import choose_strides, downsampling, round_up

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["choose_patch"]

_MARGIN = 1.5  # for networks of other strides, which take less a voxel
_SMALLEST_PATCH = 16  # voxels along an axis; a volume that has fewer is taken whole

Strides = tuple[tuple[int, ...], ...]


def choose_patch(
    shape: Sequence[int],
    spacing: Sequence[float],
    memory: Callable[[tuple[int, ...], Strides], float],
    *,
    budget: float,
) -> tuple[tuple[int, ...], Strides]:
    """Start with a whole volume and shorten its longest side until a training step fits.

    The side that is longest in mm is shortened each time, so that what is left comes near to a
    cube, and the network's strides follow: the patch is always a multiple of what they shrink it
    by, rounded up.

    Args:
        shape: voxels of the median volume along each axis.
        spacing: mm along each axis.
        memory: bytes that training takes on a patch, with a network of these strides.
        budget: bytes that there are.

    Returns:
        Voxels of the patch along each axis, and the network's strides.

    Raises:
        ValueError: if the smallest patch does not fit; it says how much is needed.

    Example:
        >>> choose_patch((40, 64, 9), (1.0, 1.0, 1.0), lambda patch, _: patch[1], budget=48)[0]
        (40, 48, 10)
    """
    limits, bound = tuple(shape), math.inf
    while True:
        strides = choose_strides(limits, spacing)
        factors = downsampling(strides)
        patch = round_up(limits, factors)
        shorter = [size - by for size, by in zip(patch, factors, strict=True)]
        axes = [axis for axis, size in enumerate(shorter) if size >= _SMALLEST_PATCH]
        if math.prod(patch) <= bound or not axes:
            needed = memory(patch, strides)
            if needed <= budget:
                return patch, strides
            # What is far too large is not measured: memory is about in proportion to the voxels.
            bound = _MARGIN * math.prod(patch) * budget / needed
        if not axes:
            raise InvalidValueError(
                f"Expected `memory` to be enough for the smallest patch, {patch}, which takes "
                f"{needed / 2**30:.2f} GiB, but got {budget / 2**30:.2f} GiB."
            )
        longest = max(axes, key=lambda axis: patch[axis] * spacing[axis])
        limits = tuple(
            shorter[axis] if axis == longest else size for axis, size in enumerate(limits)
        )
