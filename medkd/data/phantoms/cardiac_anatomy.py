"""Where things are in a short-axis view: bodies in millimeters along the axis of the heart.

The third coordinate runs from the base of the left ventricle (0) to its apex; the first runs from
the right ventricle to the left one, the second from the diaphragm to the chest wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.volume_shapes import ellipsoid, merged, tube
from medkd.data.phantoms.volume_texture import smooth_field

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

    Body = NDArray[np.float32]

__all__ = ["Heart", "Surroundings", "Ventricles", "draw_heart", "draw_surroundings"]


@dataclass(frozen=True)
class Ventricles:
    """Size of the ventricles in one phase of the beat, in millimeters.

    Args:
        radius: of the left ventricle's cavity at its widest.
        wall: thickness of its wall.
        length: from its base to the apex of the wall.
        right: width of the right ventricle at the base.
        base: how far the base has moved toward the apex.
    """

    radius: float
    wall: float
    length: float
    right: float
    base: float

    @classmethod
    def draw(cls, rng: Generator) -> Ventricles:
        """A patient at the end of the filling: normal, dilated or with thickened walls."""
        kind = int(rng.integers(3))
        return cls(
            radius=float(rng.uniform(23.5, 27.0)) + (5.0 if kind == 1 else 0.0),
            wall=float(rng.uniform(8.0, 9.5)) + (4.0 if kind == 2 else 0.0),
            length=float(rng.uniform(80.0, 90.0)),
            right=float(rng.uniform(30.0, 38.0)),
            base=0.0,
        )

    def contracted(self, strength: float) -> Ventricles:
        """The same heart at the end of the beat.

        The muscle keeps its volume: what the cavity loses in radius, the wall gains.

        Args:
            strength: part of the cavity's radius that is lost, 0 to 1.
        """
        radius = self.radius * (1.0 - strength)
        outer = self.radius + self.wall
        muscle = (outer**2 - self.radius**2) * (1.0 + 0.4 * strength)  # it also gets shorter
        return Ventricles(
            radius=radius,
            wall=float(np.sqrt(radius**2 + muscle)) - radius,
            length=self.length,
            right=self.right * (1.0 - 0.75 * strength),
            base=36.0 * strength,
        )


@dataclass(frozen=True)
class Heart:
    """The parts of the heart; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        left: cavity of the left ventricle, papillary muscles included.
        papillary: these muscles.
        muscle: the left ventricle with its wall.
        right: cavity of the right ventricle.
        right_wall: the right ventricle with its wall.
        trabeculae: muscle strands in the right ventricle.
        atria: the blood above the base, and the vessels that leave there.
        sac: all of it, with the fat around.
    """

    left: Body
    papillary: Body
    muscle: Body
    right: Body
    right_wall: Body
    trabeculae: Body
    atria: Body
    sac: Body


@dataclass(frozen=True)
class Surroundings:
    """What lies around the heart; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        trunk: the whole body.
        chest: inside of the chest wall.
        lungs: both lungs.
        liver: below the diaphragm.
        aorta: descending beside the spine.
        spine: the vertebrae.
    """

    trunk: Body
    chest: Body
    lungs: Body
    liver: Body
    aorta: Body
    spine: Body


def draw_heart(rng: Generator, grid: PhantomGrid, size: Ventricles) -> Heart:
    """The heart of a patient in one phase of the beat.

    Args:
        rng: the source of chance; the same one for all phases of a patient.
        grid: voxels of the volume.
        size: the ventricles in this phase.

    Returns:
        Its parts.
    """
    # The plane of the valves is tilted against the slices, so that the base is ambiguous.
    lean = rng.normal(0.0, 0.10, 2)
    rough = smooth_field(rng, grid, 18.0)
    above = size.base + lean[0] * grid.x + lean[1] * grid.y - grid.z
    outer = size.radius + size.wall
    muscle = _cone(grid, outer, size.length) + 0.5 * rough
    cavity = _cone(grid, size.radius, size.length - 0.9 * size.wall) - 0.7 * rough
    turn = float(rng.normal(0.0, 0.15))
    papillary = np.minimum.reduce(
        [
            tube(
                grid,
                [
                    (0.62 * size.radius * np.cos(angle), 0.62 * size.radius * np.sin(angle), z)
                    for z in (size.base + 24.0, 0.5 * size.length, 0.76 * size.length)
                ],
                [2.2, 4.2, 3.5],
            )
            for angle in (0.75 + turn, -1.25 + turn)
        ]
    )
    swing = float(rng.normal(0.0, 4.0))
    right = _right_ventricle(grid, outer, size, swing) - 0.8 * rough
    right_cavity = np.maximum(np.maximum(right, 1.0 - muscle), above - 6.0)
    strands = (0.85 - smooth_field(rng, grid, 9.0)) * 3.0
    atria = np.maximum(above, _atria(grid, outer))
    fat = 4.0 + 2.5 * np.maximum(smooth_field(rng, grid, 30.0), -1.0)
    sac: Body = (merged(muscle, right, softness=14.0) - fat).astype(np.float32)
    return Heart(
        left=np.maximum(cavity, above),
        papillary=np.maximum(papillary, cavity),
        muscle=np.maximum(muscle, above),
        right=right_cavity,
        right_wall=np.maximum(right - 2.8, above - 8.0),
        trabeculae=np.maximum(strands, right_cavity + 1.5),
        atria=atria,
        sac=sac,
    )


def _cone(grid: PhantomGrid, radius: float, length: float) -> Body:
    """A cylinder that closes like an ellipsoid toward the apex."""
    start = 0.25 * length
    down = np.clip((grid.z - start) / (length - start), 0.0, None)
    up = np.clip((start - grid.z) / length, 0.0, 1.0)
    across = np.hypot(grid.x, grid.y) / (1.0 - 0.5 * up**2)
    rho = np.hypot(across / radius, down)
    return (rho - 1.0) * np.float32(radius)


def _right_ventricle(grid: PhantomGrid, outer: float, size: Ventricles, swing: float) -> Body:
    """A pouch that hugs the left ventricle; what overlaps is cut off by the wall."""
    center = (-outer - 0.18 * size.right, swing - 2.0, 4.0)
    semi = (0.92 * size.right, 1.15 * outer + 2.0, 0.78 * size.length)
    return ellipsoid(grid, center, semi)


def _atria(grid: PhantomGrid, outer: float) -> Body:
    left = ellipsoid(grid, (6.0, -16.0, -16.0), (34.0, 24.0, 26.0))
    right = ellipsoid(grid, (-outer - 8.0, -14.0, -16.0), (26.0, 24.0, 30.0))
    outflow = tube(grid, [(-8, 12, 6), (-12, 16, -30)], [13.0, 14.0])
    lung_artery = tube(grid, [(-24, 34, 6), (-4, 38, -30)], [12.0, 12.0])
    return np.minimum.reduce([left, right, outflow, lung_artery])


def draw_surroundings(rng: Generator, grid: PhantomGrid) -> Surroundings:
    """What lies around a patient's heart."""
    x, y, z = grid.x, grid.y, grid.z
    front = float(rng.uniform(58.0, 68.0))
    fat = float(rng.uniform(8.0, 26.0))
    wall = 0.9 * y - 0.35 * x + 0.0016 * x**2 - front + 1.5 * smooth_field(rng, grid, 40.0)
    dome = -46.0 + 0.004 * (x + 10.0) ** 2 + 4.0 * smooth_field(rng, grid, 70.0)
    liver = y - dome + 0.25 * (z - 40.0)
    behind = float(rng.normal(-8.0, 4.0))
    aorta = tube(grid, [(68, -38 + behind, -60), (62, -42 + behind, 150)], [11.5, 11.0])
    lungs = np.maximum(wall + 2.0, 3.0 - liver)
    middle = 26.0 - np.abs(x + 52.0 - 0.7 * y) + 3.0 * smooth_field(rng, grid, 40.0)
    return Surroundings(
        trunk=wall - 14.0 - fat,
        chest=wall - 12.0,
        lungs=np.maximum(lungs, middle),
        liver=np.maximum(liver, wall + 1.0),
        aorta=aorta,
        spine=tube(grid, [(48, -88, -60), (44, -92, 150)], [19.0, 19.0]),
    )
