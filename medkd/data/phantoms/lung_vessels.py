"""The branching vessels of the lungs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.volume_shapes import ball_cloud

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

__all__ = ["draw_lung_vessels"]

# Where the trunks of the right lung enter it, and where they head for; the left one mirrors it.
_HILUM = np.array([44.0, -20.0, -14.0])
_HEADINGS = np.array([(0.6, 0.3, 0.8), (0.8, 0.6, -0.3), (0.7, -0.5, -0.6), (0.8, -0.4, 0.4)])
_THICKEST, _THINNEST = 5.2, 0.9  # millimeters
_CALIBER_RATIO = 2.0 ** (-1.0 / 3.0)  # law of Murray for two equal branches
_STEPS = 7


def draw_lung_vessels(rng: Generator, grid: PhantomGrid) -> NDArray[np.float32]:
    """Vessels that fork from the hila to the pleura, getting thinner at each fork.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.

    Returns:
        Map ``(X, Y, Z)``, negative inside; the vessels run on where the lung ends.
    """
    mirror = np.array([-1.0, 1.0, 1.0])
    starts = [_HILUM] * len(_HEADINGS) + [_HILUM * mirror] * len(_HEADINGS)
    headings = np.concatenate([_HEADINGS, _HEADINGS * mirror])
    places, radius = np.array(starts), _THICKEST
    centers, radii = [], []
    while radius > _THINNEST:
        headings = headings + rng.normal(0.0, 0.12, headings.shape)
        headings /= np.linalg.norm(headings, axis=1, keepdims=True)
        length = (3.6 + 4.2 * radius) * rng.uniform(0.7, 1.35, (len(places), 1))
        way = np.linspace(0.0, 1.0, _STEPS)[:, None, None] * length * headings
        centers.append((places + way).reshape(-1, 3))
        radii.append(np.full(len(centers[-1]), radius))
        places = np.repeat(places + length * headings, 2, axis=0)
        headings = _forked(rng, headings)
        radius *= _CALIBER_RATIO
    return ball_cloud(grid, np.concatenate(centers), np.concatenate(radii))


def _forked(rng: Generator, headings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two directions for each, leaning to opposite sides of it."""
    aside = np.cross(headings, rng.normal(0.0, 1.0, headings.shape))
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    lean = rng.uniform(0.35, 0.8, (len(headings), 1))
    pairs = np.stack([headings + lean * aside, headings - lean * aside], axis=1)
    return pairs.reshape(-1, 3)
