"""Depth, strides and width of the network, from the patch it sees."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["choose_channels", "choose_strides", "downsampling", "round_up"]

_SMALLEST_MAP = 4  # voxels that an axis keeps at the deepest level
_COARSER = 2  # an axis this much coarser than the finest waits until the others have caught up
_MOST_HALVINGS = 5
_FEWEST_LEVELS = 2  # that every network of a diverse ensemble can have
_MOST_CHANNELS = 320


def choose_strides(
    patch_size: Sequence[int], spacing: Sequence[float]
) -> tuple[tuple[int, ...], ...]:
    """Which axes each level of the network halves.

    An axis is halved as long as four voxels are left, and not while it is twice as coarse as the
    finest of those that still can be: so voxels become cubes on the way down.

    Args:
        patch_size: voxels along each axis.
        spacing: mm along each axis.

    Returns:
        One stride an axis for each level, 2 where it halves; two levels at least, of ones where no
        axis is long enough.

    Example:
        >>> choose_strides((64, 64, 5), (1.0, 1.0, 1.0))[0]
        (2, 2, 1)
        >>> choose_strides((64, 64, 16), (1.0, 1.0, 4.0))
        ((2, 2, 1), (2, 2, 1), (2, 2, 2), (2, 2, 2))
    """
    size, mm = list(patch_size), list(spacing)
    strides: list[tuple[int, ...]] = []
    while len(strides) < _MOST_HALVINGS:
        long = [axis for axis, voxels in enumerate(size) if voxels >= 2 * _SMALLEST_MAP]
        if not long:
            break
        finest = min(mm[axis] for axis in long)
        halved = [axis for axis in long if mm[axis] < _COARSER * finest]
        stride = tuple(2 if axis in halved else 1 for axis in range(len(size)))
        strides.append(stride)
        size = [math.ceil(voxels / step) for voxels, step in zip(size, stride, strict=True)]
        mm = [along * step for along, step in zip(mm, stride, strict=True)]
    missing = _FEWEST_LEVELS - len(strides)
    return (*strides, *[(1,) * len(size)] * missing)


def choose_channels(num_strides: int, *, base: int) -> tuple[int, ...]:
    """Features at each level: twice as many each time the voxels are halved, 320 at most.

    Args:
        num_strides: how many levels halve.
        base: features of the first level.

    Returns:
        One number a level, one more than there are strides.

    Example:
        >>> choose_channels(3, base=16)
        (16, 32, 64, 128)
    """
    return tuple(min(base * 2**level, _MOST_CHANNELS) for level in range(num_strides + 1))


def downsampling(strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """By how much the whole network shrinks each axis.

    Args:
        strides: of each level.

    Returns:
        The product along each axis.

    Example:
        >>> downsampling(((2, 2, 1), (2, 2, 2)))
        (4, 4, 2)
    """
    return tuple(math.prod(along) for along in zip(*strides, strict=True))


def round_up(shape: Sequence[int], factors: Sequence[int]) -> tuple[int, ...]:
    """The least multiples that are not below a shape.

    Args:
        shape: voxels along each axis.
        factors: what they must be multiples of.

    Returns:
        Multiples.

    Example:
        >>> round_up((36, 50, 5), (8, 8, 1))
        (40, 56, 5)
    """
    return tuple(-(-voxels // by) * by for voxels, by in zip(shape, factors, strict=True))
