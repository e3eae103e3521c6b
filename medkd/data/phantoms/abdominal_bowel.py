"""The bowel of an upper abdomen: bodies in millimeters.

The origin is that of the abdominal wall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.volume_shapes import tube
from medkd.data.phantoms.volume_texture import smooth_field

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

    Body = NDArray[np.float32]

__all__ = ["draw_colon", "draw_small_bowel"]

# From the ascending part over both flexures, the left one below the spleen, to the descending part.
_COLON = (
    (84, -18, -120),
    (82, 2, -72),
    (66, 40, -58),
    (22, 62, -54),
    (-30, 62, -44),
    (-74, 38, -16),
    (-92, 2, -18),
    (-92, -24, -56),
    (-88, -26, -120),
)
_HAUSTRUM = 30.0  # millimeters
_NUM_LOOPS, _NUM_TURNS = 3, 7
_WIDTH = 11.0


def draw_colon(rng: Generator, grid: PhantomGrid, room: Body) -> Body:
    """The colon with its wall, pinched where its bands draw it together.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.
        room: what other organs leave it, negative inside.

    Returns:
        Map ``(X, Y, Z)``, negative inside.
    """
    path = np.array(_COLON, float) + rng.normal(0.0, 1.0, (len(_COLON), 3)) * (4.0, 4.0, 6.0)
    radii = rng.uniform(12.0, 20.0, len(path))
    pinches = 3.0 * np.clip(smooth_field(rng, grid, _HAUSTRUM) - 0.5, 0.0, 1.0)
    return np.maximum(tube(grid, path, radii) + pinches, room + 2.0)


def draw_small_bowel(rng: Generator, grid: PhantomGrid, room: Body) -> Body:
    """Loops of the small bowel in front of the left kidney and below the stomach.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.
        room: what other organs leave it, negative inside.

    Returns:
        Map ``(X, Y, Z)``, negative inside.
    """
    loops = []
    for _ in range(_NUM_LOOPS):
        across = np.linspace(-66.0, 48.0, _NUM_TURNS) + rng.normal(0.0, 6.0, _NUM_TURNS)
        forward = rng.uniform(4.0, 52.0, _NUM_TURNS)
        height = rng.uniform(-105.0, -48.0, _NUM_TURNS)
        loops.append(tube(grid, np.column_stack([across, forward, height]), [_WIDTH] * _NUM_TURNS))
    return np.maximum(np.minimum.reduce(loops), room + 4.0)
