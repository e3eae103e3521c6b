"""Distractors: bleedings and deposits that are not vessels but share their colors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.fundus_background import smooth_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.fundus_background import RetinaGrid
    from medkd.data.phantoms.vessel_tree import Anatomy

__all__ = ["draw_bleedings", "draw_deposits"]


def draw_bleedings(
    rng: Generator, grid: RetinaGrid, anatomy: Anatomy, *, severity: float
) -> NDArray[np.float32]:
    """Optical depth of microaneurysms, dot, blot and flame haemorrhages, ``(size, size)``.

    Args:
        rng: the source of chance.
        grid: pixels of the image.
        anatomy: the disc and the fovea stay free.
        severity: 0 for a healthy eye, 1 for one with dozens of lesions.

    Returns:
        Values of 0 (no blood) to about 1, of the same kind as the optical depth of a vessel.
    """
    ragged = smooth_noise(rng, grid, 0.018)
    depth = np.zeros((grid.size, grid.size), dtype=np.float32)
    for _ in range(int(rng.poisson(26 * severity))):  # microaneurysms
        place, radius = _place(rng, anatomy), float(rng.uniform(0.005, 0.010))
        _stamp_spot(depth, grid, place, (radius, radius), 0.0, float(rng.uniform(0.3, 0.7)), ragged)
    for _ in range(int(rng.poisson(11 * severity))):  # dots and blots
        place, radius = _place(rng, anatomy), float(rng.uniform(0.012, 0.038))
        axes = (radius, radius * float(rng.uniform(0.6, 1.0)))
        tilt, strength = float(rng.uniform(0.0, np.pi)), float(rng.uniform(0.35, 0.75))
        _stamp_spot(depth, grid, place, axes, tilt, strength, ragged)
    for _ in range(int(rng.poisson(5 * severity))):  # flames, along the nerve fibers
        place, length = _place(rng, anatomy), float(rng.uniform(0.03, 0.075))
        tilt = float(np.arctan2(place[1] - anatomy.disc[1], place[0] - anatomy.disc[0]))
        axes = (length, length * float(rng.uniform(0.18, 0.35)))
        _stamp_spot(depth, grid, place, axes, tilt, float(rng.uniform(0.4, 0.8)), ragged)
    return depth


def draw_deposits(
    rng: Generator, grid: RetinaGrid, anatomy: Anatomy, *, severity: float
) -> NDArray[np.float32]:
    """Opacity of hard exudates and cotton-wool spots, ``(size, size)`` in ``[0, 1]``.

    Exudates lie in clusters; each eye has as many as its ``severity`` (see ``draw_bleedings``).
    """
    ragged = smooth_noise(rng, grid, 0.016)
    cover = np.zeros((grid.size, grid.size), dtype=np.float32)
    for _ in range(int(rng.poisson(2.2 * severity))):
        middle = np.asarray(_place(rng, anatomy))
        for _ in range(int(rng.integers(4, 16))):
            x, y = middle + rng.normal(0.0, 0.045, 2)
            radius = float(rng.uniform(0.005, 0.013))
            _stamp_spot(cover, grid, (x, y), (radius, radius), 0.0, 0.75, ragged)
    for _ in range(int(rng.poisson(0.9 * severity))):
        place, radius = _place(rng, anatomy), float(rng.uniform(0.03, 0.05))
        tilt = float(rng.uniform(0.0, np.pi))
        soft = grid.spot(place, radius) * (1.0 + 0.15 * smooth_noise(rng, grid, 0.03))
        _stamp_spot(cover, grid, place, (radius, 0.6 * radius), tilt, 0.2, ragged)
        np.maximum(cover, 0.35 * soft, out=cover)
    return np.clip(cover, 0.0, 1.0)


def _place(rng: Generator, anatomy: Anatomy) -> tuple[float, float]:
    """A place in the field outside disc and fovea, likelier near the posterior pole."""
    while True:
        x, y = rng.normal(0.0, 0.45, 2)
        off_disc = np.hypot(x - anatomy.disc[0], y - anatomy.disc[1]) > 1.7 * anatomy.disc_radius
        off_fovea = np.hypot(x - anatomy.fovea[0], y - anatomy.fovea[1]) > 0.11
        if np.hypot(x, y) < 0.93 and off_disc and off_fovea:
            return float(x), float(y)


def _stamp_spot(
    canvas: NDArray[np.float32],
    grid: RetinaGrid,
    place: tuple[float, float],
    axes: tuple[float, float],
    tilt: float,
    strength: float,
    ragged: NDArray[np.float32],
) -> None:
    """Draws an elliptic spot with an uneven edge into ``canvas``."""
    reach = int(np.ceil((2.0 * max(axes)) * grid.radius)) + 2
    column = round((place[0] - grid.x[0, 0]) * grid.radius)
    row = round((place[1] - grid.y[0, 0]) * grid.radius)
    rows = slice(max(row - reach, 0), max(row + reach + 1, 0))
    columns = slice(max(column - reach, 0), max(column + reach + 1, 0))
    dx, dy = grid.x[rows, columns] - place[0], grid.y[rows, columns] - place[1]
    along = dx * np.cos(tilt) + dy * np.sin(tilt)
    across = dy * np.cos(tilt) - dx * np.sin(tilt)
    rho = np.hypot(along / axes[0], across / axes[1]) * (1.0 + 0.26 * ragged[rows, columns])
    softness = 0.30 + 0.5 / (min(axes) * grid.radius)  # half a pixel at least
    cover = strength / (1.0 + np.exp(np.clip((rho - 1.0) / softness * 4.0, -50.0, 50.0)))
    np.maximum(canvas[rows, columns], cover, out=canvas[rows, columns])
