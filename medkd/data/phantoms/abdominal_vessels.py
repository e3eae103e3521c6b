"""The large vessels of an upper abdomen: bodies in millimeters.

The origin is that of the abdominal wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.data.phantoms.volume_shapes import tube

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

    Body = NDArray[np.float32]

__all__ = ["AbdominalVessels", "draw_abdominal_vessels"]

# Where each vessel passes, and its radius there.
_AORTA = (
    (((-10, -30, 130), (-7, -24, 50), (-5, -20, 0), (-3, -22, -130)), (12.0, 11.5, 10.5, 9.0)),
    (((-5, -12, -6), (-3, 2, -26), (0, 8, -60), (2, 16, -120)), (4.0, 4.0, 4.0, 3.0)),
)
_CAVA = (
    (
        ((18, 8, 120), (20, -2, 70), (24, -14, 30), (24, -18, -20), (22, -20, -130)),
        (13.0, 13.5, 12.5, 12.0, 11.0),
    ),
)
_HEPATIC_VEINS = (
    (((22, -2, 66), (52, -14, 52), (92, -22, 30)), (6.0, 5.0, 2.5)),
    (((22, 0, 66), (38, 24, 50), (52, 46, 20)), (6.0, 4.5, 2.5)),
    (((18, 2, 66), (2, 24, 54), (-18, 44, 42)), (5.5, 4.0, 2.0)),
)
_PORTAL_VEINS = (
    (((-70, -24, 18), (-40, -8, 6), (-10, 4, -12), (14, 4, -20)), (5.0, 5.0, 5.5, 7.0)),
    (((8, 20, -120), (8, 12, -50), (14, 4, -20)), (5.0, 6.0, 6.5)),
    (((14, 4, -20), (24, 6, 0), (34, 6, 16)), (7.5, 7.5, 7.0)),
    (((34, 6, 16), (58, 0, 20), (84, 6, 12), (100, 14, 2)), (7.0, 5.5, 4.0, 2.0)),
    (((58, 0, 20), (72, -28, 26), (84, -48, 28)), (5.0, 4.0, 2.0)),
    (((34, 6, 16), (14, 22, 28), (4, 42, 26)), (6.0, 5.0, 3.0)),
)
_RENAL_VEINS = (
    (((20, -16, -22), (-8, -4, -22), (-44, -36, -26)), (5.0, 4.5, 4.5)),
    (((24, -18, -32), (42, -34, -36)), (5.0, 5.0)),
)


@dataclass(frozen=True)
class AbdominalVessels:
    """The large vessels; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        aorta: with the upper mesenteric artery.
        cava: the lower caval vein.
        hepatic_veins: from the liver into it.
        portal_veins: from spleen and bowel into the liver, where they fork.
        renal_veins: from the kidneys into the caval vein.
    """

    aorta: Body
    cava: Body
    hepatic_veins: Body
    portal_veins: Body
    renal_veins: Body


def draw_abdominal_vessels(rng: Generator, grid: PhantomGrid) -> AbdominalVessels:
    """The large vessels of a patient.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.

    Returns:
        The vessels.
    """
    return AbdominalVessels(
        aorta=_system(rng, grid, _AORTA),
        cava=_system(rng, grid, _CAVA),
        hepatic_veins=_system(rng, grid, _HEPATIC_VEINS),
        portal_veins=_system(rng, grid, _PORTAL_VEINS),
        renal_veins=_system(rng, grid, _RENAL_VEINS),
    )


def _system(rng: Generator, grid: PhantomGrid, vessels: tuple[Any, ...]) -> Body:
    """Vessels that stay joined: they sway and widen together."""
    sway = rng.normal(0.0, 1.0, 3) * (1.8, 1.0, 1.5)
    width = float(rng.uniform(0.86, 1.14))
    return np.minimum.reduce(
        [tube(grid, np.array(path) + sway, width * np.array(radii)) for path, radii in vessels]
    )
