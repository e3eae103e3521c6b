"""Ways that a growing vessel could take, and how much room each leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["Clearance", "arc_lengths", "candidate_paths", "free_length", "resample"]

_GRID_SIZE = 80
_GRID_EXTENT = 1.08
_AVASCULAR_RADIUS = 0.07  # about 0.5 mm of retina
_OTHER_KIND_WEIGHT = 0.35


def arc_lengths(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each point of a polyline from its beginning along the line, ``(P,)``."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])


def resample(points: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """A polyline ``(P, 2)`` with points about ``step`` apart along it.

    Example:
        >>> resample(np.array([[0.0, 0.0], [3.0, 4.0]]), 2.5).tolist()
        [[0.0, 0.0], [1.5, 2.0], [3.0, 4.0]]
    """
    position = arc_lengths(points)
    num = max(2, round(float(position[-1]) / step) + 1)
    wanted = np.linspace(0.0, position[-1], num)
    return np.stack([np.interp(wanted, position, axis) for axis in points.T], axis=1)


class Clearance:
    """Distance of every place to the nearest vessel of each kind, on a coarse grid.

    The disc and the avascular zone of the fovea count as occupied.

    Args:
        disc: center of the optic disc (x, y), in units of the radius of the field of view.
        disc_radius: its radius.
        fovea: center of the fovea.
    """

    def __init__(
        self, disc: tuple[float, float], disc_radius: float, fovea: tuple[float, float]
    ) -> None:
        axis = np.linspace(-_GRID_EXTENT, _GRID_EXTENT, _GRID_SIZE, dtype=np.float32)
        self._x, self._y = axis[None, :], axis[:, None]
        to_disc = np.hypot(self._x - disc[0], self._y - disc[1]) - disc_radius
        to_fovea = np.hypot(self._x - fovea[0], self._y - fovea[1]) - _AVASCULAR_RADIUS
        free = np.maximum(np.minimum(to_disc, to_fovea), 0.0)
        self._distance = {"artery": free, "vein": free.copy()}

    def occupy(self, kind: str, points: NDArray[np.float64]) -> None:
        """Marks a vessel of ``kind`` along ``points`` ``(P, 2)``."""
        sparse = points[::2].astype(np.float32)
        x, y = sparse[:, 0, None, None], sparse[:, 1, None, None]
        squared = ((self._x - x) ** 2 + (self._y - y) ** 2).min(axis=0)
        np.minimum(self._distance[kind], np.sqrt(squared), out=self._distance[kind])

    def at(self, kind: str, points: NDArray[np.float64]) -> NDArray[np.float32]:
        """Distance to the nearest vessel of ``kind`` at ``points`` ``(..., 2)``."""
        scale = (_GRID_SIZE - 1) / (2 * _GRID_EXTENT)
        cell = np.clip(np.rint((points + _GRID_EXTENT) * scale).astype(int), 0, _GRID_SIZE - 1)
        return self._distance[kind][cell[..., 1], cell[..., 0]]


def candidate_paths(
    rng: Generator,
    start: NDArray[np.float64],
    *,
    heading: float,
    bend: float,
    length: float,
    step: float,
    tortuosity: float,
    num: int,
) -> NDArray[np.float64]:
    """Smooth, gently winding paths that leave ``start`` and mostly turn by ``bend``.

    Args:
        rng: the source of chance.
        start: first point of every path, ``(2,)``.
        heading: direction at the start, in radians.
        bend: by how much a path typically turns on its way, in radians.
        length: length of each path.
        step: distance of neighboring points.
        tortuosity: amplitude of the winding, in radians.
        num: how many paths.

    Returns:
        Points of the paths, ``(num, P, 2)``.
    """
    num_points = max(2, round(length / step))
    position = np.arange(num_points) * step
    turn = bend * rng.uniform(-0.3, 1.3, (num, 1)) + rng.normal(0.0, 0.35, (num, 1))
    direction = heading + turn * position / length
    for wavelength in (0.07, 0.15, 0.31):
        phase = rng.uniform(0.0, 2 * np.pi, (num, 1))
        strength = tortuosity * rng.normal(0.0, 1.0, (num, 1))
        direction = direction + strength * (
            np.sin(2 * np.pi * position / wavelength + phase) - np.sin(phase)
        )
    steps = step * np.stack([np.cos(direction), np.sin(direction)], axis=-1)
    steps[:, 0] = 0.0
    return start + np.cumsum(steps, axis=1)


def free_length(
    clearance: Clearance, kind: str, paths: NDArray[np.float64], *, step: float, gap: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far each path gets before it meets a vessel of its kind or leaves the field.

    Args:
        clearance: where there are vessels already.
        kind: kind of the growing vessel. Vessels of the other kind are no obstacle, but the room
            beside them is worth less.
        paths: ``(num, P, 2)``.
        step: distance of neighboring points.
        gap: distance to keep from vessels of the same kind.

    Returns:
        The free length of each path ``(num,)`` and the mean distance to other vessels on it
        ``(num,)``.
    """
    other = "vein" if kind == "artery" else "artery"
    same = clearance.at(kind, paths)
    # A path starts on its parent, so the gap it must keep opens only as it leaves it.
    needed = np.minimum(0.35 * step * np.arange(paths.shape[1]) - 0.02, gap)
    open_way = (same >= needed) & (np.hypot(paths[..., 0], paths[..., 1]) < 1.04)
    free = np.logical_and.accumulate(open_way, axis=1)
    room = same + _OTHER_KIND_WEIGHT * clearance.at(other, paths)
    num_free = free.sum(axis=1)
    return num_free * step, (room * free).sum(axis=1) / np.maximum(num_free, 1)
