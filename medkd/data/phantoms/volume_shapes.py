"""Bodies in millimeters, each a map that is negative inside and grows with the distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

__all__ = ["ball_cloud", "coverage", "ellipsoid", "merged", "superellipse", "tube"]

_STEP = 1.0  # millimeters between the balls of a tube
_SMALLEST_WIDTH = np.float32(1e-4)
_SMALLEST_RADIUS = 1e-3


def ellipsoid(
    grid: PhantomGrid,
    center: Iterable[float],
    semi_axes: Iterable[float],
    *,
    axes: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """An ellipsoid.

    Args:
        grid: voxels of the volume.
        center: its middle.
        semi_axes: half its length along each axis.
        axes: ``(3, 3)``, the direction of each of its axes in a row; the grid's by default.

    Returns:
        Map ``(X, Y, Z)``, close to the distance in millimeters near the surface.
    """
    offset = [
        axis - np.float32(middle)
        for axis, middle in zip((grid.x, grid.y, grid.z), center, strict=True)
    ]
    if axes is not None:
        offset = [
            sum(np.float32(part) * o for part, o in zip(row, offset, strict=True))
            for row in np.asarray(axes)
        ]
    radius = np.zeros(grid.shape, dtype=np.float32)
    slope = np.zeros(grid.shape, dtype=np.float32)
    for along, semi in zip(offset, semi_axes, strict=True):
        share = along / np.float32(semi)
        radius += share**2
        slope += (share / np.float32(semi)) ** 2
    radius, slope = np.sqrt(radius), np.sqrt(slope)
    # At the middle itself the slope is 0 and any negative number will do.
    body = (radius - 1.0) * radius / np.maximum(slope, _SMALLEST_WIDTH)
    body[radius < _SMALLEST_RADIUS] = -1.0
    return body.astype(np.float32, copy=False)


def superellipse(
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    half_x: NDArray[np.float32] | float,
    half_y: NDArray[np.float32] | float,
    *,
    power: float,
) -> NDArray[np.float32]:
    """The cross section of a trunk: more angular than an ellipse.

    Args:
        x: distance from its middle along the first axis.
        y: along the second.
        half_x: half its length along the first axis; it may differ from place to place.
        half_y: along the second.
        power: 2 for an ellipse, more for more of an angle.

    Returns:
        Map ``(X, Y, Z)``, in millimeters along the second axis.
    """
    rho = (np.abs(x / half_x) ** power + np.abs(y / half_y) ** power) ** (1.0 / power)
    return ((rho - 1.0) * half_y).astype(np.float32)


def ball_cloud(
    grid: PhantomGrid,
    centers: NDArray[np.float64],
    radii: NDArray[np.float64],
    *,
    reach: float | None = None,
) -> NDArray[np.float32]:
    """Many balls, each voxel measured from the nearest center; far away the map is constant.

    Args:
        grid: voxels of the volume.
        centers: ``(P, 3)``.
        radii: ``(P,)``.
        reach: the distance from which on the map is constant; as near as a border allows by
            default.

    Returns:
        Map ``(X, Y, Z)``.
    """
    reach = grid.reach if reach is None else reach
    far = float(radii.max()) + reach
    low, high = centers.min(axis=0) - far, centers.max(axis=0) + far
    near = np.ones(grid.shape, dtype=bool)
    for axis, start, stop in zip((grid.x, grid.y, grid.z), low, high, strict=True):
        near &= (axis > start) & (axis < stop)
    places = np.stack([grid.x[near], grid.y[near], grid.z[near]], axis=-1)
    distance, nearest = cKDTree(centers).query(places, distance_upper_bound=far)
    gap = distance - np.append(radii, 0.0)[nearest]  # "none within reach" is an index past the end
    cloud = np.full(grid.shape, reach, dtype=np.float32)
    cloud[near] = np.minimum(gap, reach)
    return cloud


def tube(
    grid: PhantomGrid, points: ArrayLike, radii: ArrayLike, *, reach: float | None = None
) -> NDArray[np.float32]:
    """A tube with round ends along a smooth line.

    Args:
        grid: voxels of the volume.
        points: places that its middle passes through, in order, at least two.
        radii: its radius at each of them.
        reach: as in :func:`ball_cloud`.

    Returns:
        Map ``(X, Y, Z)``.
    """
    knots = np.column_stack([np.asarray(points, float), np.asarray(radii, float)])
    along = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(knots[:, :3], axis=0), axis=1)))
    num = int(along[-1] / _STEP) + 2
    line = CubicSpline(along, knots, bc_type="natural")(np.linspace(0.0, along[-1], num))
    return ball_cloud(grid, line[:, :3], line[:, 3], reach=reach)


def merged(
    first: NDArray[np.float32], second: NDArray[np.float32], *, softness: float
) -> NDArray[np.float32]:
    """Two bodies as one, with the groove between them filled.

    Args:
        first: a body.
        second: another on the same grid.
        softness: how wide the fillet is in millimeters.

    Returns:
        Map of the same shape.
    """
    blend = np.clip(0.5 + 0.5 * (second - first) / np.float32(softness), 0.0, 1.0)
    return second + blend * (first - second) - np.float32(softness) * blend * (1.0 - blend)


def coverage(body: NDArray[np.float32]) -> NDArray[np.float32]:
    """Which part of each voxel a body fills, to first order: exact for a plane along an axis.

    Args:
        body: map ``(X, Y, Z)`` that is negative inside.

    Returns:
        Map of the same shape in ``[0, 1]``.

    Example:
        >>> plane = np.array([-2.0, -1.0, 0.0, 1.0, 2.0], np.float32).reshape(5, 1, 1)
        >>> coverage(plane).ravel().tolist()
        [1.0, 1.0, 0.5, 0.0, 0.0]
    """
    squares = np.full(body.shape, _SMALLEST_WIDTH**2, dtype=np.float32)
    for axis in range(body.ndim):
        if body.shape[axis] == 1:
            continue
        step = np.abs(np.diff(body, axis=axis))
        # The steeper side counts: on the ridge of a thin body the two sides would cancel.
        edge = [(0, 0)] * body.ndim
        edge[axis] = (1, 1)
        padded = np.pad(step, edge, mode="edge")
        count = body.shape[axis]
        before = padded.take(range(count), axis=axis)
        after = padded.take(range(1, count + 1), axis=axis)
        squares += np.maximum(before, after) ** 2
    # A ramp of this width has the variance of the voxel's box seen along the slope.
    return np.clip(0.5 - body / np.sqrt(squares), 0.0, 1.0)
