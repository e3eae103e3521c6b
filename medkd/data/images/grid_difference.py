"""How far two voxel grids of one shape lie apart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from nibabel.affines import voxel_sizes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

__all__ = ["GRID_TOLERANCE", "describe_difference", "grid_difference", "same_grid"]

GRID_TOLERANCE = 0.1  # of the smallest voxel side: rounded headers pass, a shifted label does not


def grid_difference(
    affine: ArrayLike, other: ArrayLike, *, shape: Sequence[int]
) -> tuple[float, float]:
    """Largest distance between the two places of a voxel, and largest angle between two axes.

    Both places are affine in the voxel's index, so their distance is largest at a corner.

    Args:
        affine: voxel index to mm, ``(4, 4)``.
        other: that of the other grid.
        shape: voxels along each axis of both grids, ``(X, Y, Z)``.

    Returns:
        Millimeters and radians.

    Example:
        A shift, and a flip of the first axis of five voxels about the origin:

        >>> shifted = np.eye(4)
        >>> shifted[:3, 3] = 3, 0, 4
        >>> grid_difference(np.eye(4), shifted, shape=(5, 5, 5))
        (5.0, 0.0)
        >>> distance, angle = grid_difference(np.eye(4), np.diag([-1, 1, 1, 1]), shape=(5, 5, 5))
        >>> distance, round(angle, 4)
        (8.0, 3.1416)
    """
    first, second = (np.asarray(a, dtype=np.float64) for a in (affine, other))
    last = np.asarray(shape)[:, np.newaxis] - 1
    corners = np.vstack([np.indices((2, 2, 2)).reshape(3, -1) * last, np.ones(8)])
    distance = np.linalg.norm(((second - first) @ corners)[:3], axis=0).max()
    # The chord between unit vectors, because the arc cosine of their product is coarse near zero.
    chord = np.linalg.norm(_directions(first) - _directions(second), axis=0).max()
    return float(distance), 2 * math.asin(min(1.0, float(chord) / 2))


def same_grid(affine: ArrayLike, other: ArrayLike, *, shape: Sequence[int]) -> bool:
    """Whether no voxel moves by more than ``GRID_TOLERANCE`` of the smallest voxel side.

    Args:
        affine: voxel index to mm, ``(4, 4)``.
        other: that of the other grid.
        shape: voxels along each axis of both grids, ``(X, Y, Z)``.

    Returns:
        False also where an affine is not finite.
    """
    distance, _ = grid_difference(affine, other, shape=shape)
    side = voxel_sizes(np.asarray(affine, dtype=np.float64)).min()
    return bool(distance <= GRID_TOLERANCE * side)


def describe_difference(affine: ArrayLike, other: ArrayLike, *, shape: Sequence[int]) -> str:
    """How far two grids lie apart, for a message.

    Args:
        affine: voxel index to mm, ``(4, 4)``.
        other: that of the other grid.
        shape: voxels along each axis of both grids, ``(X, Y, Z)``.

    Returns:
        ``"up to 5 mm and 0.0 degrees"``.
    """
    distance, angle = grid_difference(affine, other, shape=shape)
    return f"up to {distance:.3g} mm and {math.degrees(angle):.1f} degrees"


def _directions(affine: np.ndarray) -> np.ndarray:
    """The axes of the grid as unit columns."""
    directions: np.ndarray = affine[:3, :3] / voxel_sizes(affine)
    return directions
