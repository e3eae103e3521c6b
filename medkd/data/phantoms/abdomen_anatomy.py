"""Where the organs of an upper abdomen are: bodies in millimeters.

The origin is that of the abdominal wall.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.volume_shapes import ellipsoid, merged, tube
from medkd.data.phantoms.volume_texture import smooth_field

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import ArrayLike, NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

    Body = NDArray[np.float32]

__all__ = ["AbdominalOrgans", "draw_abdominal_organs"]

_EDGE = 9.0  # millimeters over which the edges of the spleen are rounded
# From the head, beside the duodenum, to the tail, beside the spleen.
_PANCREAS = (
    (34, 6, -52),
    (30, 8, -32),
    (12, 16, -20),
    (-14, 14, -10),
    (-42, -4, 2),
    (-64, -22, 12),
)
# From the fundus, below the left dome of the diaphragm, to the pylorus.
_STOMACH = (
    (-52, -18, 46),
    (-58, 6, 26),
    (-52, 34, 0),
    (-24, 48, -22),
    (10, 44, -26),
    (34, 28, -20),
)


@dataclass(frozen=True)
class AbdominalOrgans:
    """The solid organs and the stomach; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        liver: both lobes.
        fissure: the fat between them.
        gallbladder: below the liver.
        spleen: between stomach, left kidney and ribs.
        pancreas: from the duodenum to the hilum of the spleen.
        kidneys: both.
        sinuses: the fat and the calyces in them.
        stomach: with its wall, from the gullet to the duodenum.
    """

    liver: Body
    fissure: Body
    gallbladder: Body
    spleen: Body
    pancreas: Body
    kidneys: Body
    sinuses: Body
    stomach: Body


def draw_abdominal_organs(rng: Generator, grid: PhantomGrid, belly: Body) -> AbdominalOrgans:
    """The organs of a patient, each a little out of its usual place.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.
        belly: the room below the diaphragm, negative inside; no organ leaves it.

    Returns:
        The organs.
    """
    liver, fissure = _liver(rng, grid, belly)
    gallbladder = np.array([46.0, 34.0, -26.0]) + rng.normal(0.0, 4.0, 3)
    kidneys, sinuses = _kidneys(rng, grid)
    stomach = _stomach(rng, grid, belly)
    return AbdominalOrgans(
        liver=liver,
        fissure=fissure,
        gallbladder=ellipsoid(grid, gallbladder, rng.uniform(0.7, 1.2) * np.array([14, 24, 16])),
        spleen=_spleen(rng, grid, belly, neighbors=np.minimum(stomach, kidneys)),
        pancreas=_pancreas(rng, grid),
        kidneys=kidneys,
        sinuses=sinuses,
        stomach=stomach,
    )


def _shared(first: Body, second: Body) -> Body:
    """What two bodies share, its edges rounded."""
    return -merged(-first, -second, softness=_EDGE)


def _axes(first: ArrayLike, second: ArrayLike) -> NDArray[np.float64]:
    """Three axes at right angles: along the first, toward the second, and across both."""
    along = np.asarray(first, float) / np.linalg.norm(first)
    toward = np.asarray(second, float) - along * (along @ np.asarray(second, float))
    toward /= np.linalg.norm(toward)
    return np.stack([along, toward, np.cross(along, toward)])


def _liver(rng: Generator, grid: PhantomGrid, belly: Body) -> tuple[Body, Body]:
    size = float(rng.uniform(0.92, 1.08))
    place = np.array([60.0, -2.0, 16.0]) + rng.normal(0.0, 3.0, 3)
    right = ellipsoid(grid, place, size * np.array([70.0, 80.0, 76.0]))
    # The left lobe ends anywhere between the midline and the spleen.
    reach = float(rng.uniform(44.0, 78.0))
    place = np.array([2.0, 42.0, 32.0 + rng.normal(0.0, 5.0)])
    tilt = _axes((1.0, 0.05, -0.25), (0.1, 1.0, 0.15))
    left = ellipsoid(grid, place, (reach, 32.0, 34.0), axes=tilt)
    lobes = merged(right, left, softness=14.0) + 1.6 * smooth_field(rng, grid, 34.0)
    behind = ellipsoid(grid, (-4.0, -50.0, 0.0), (50.0, 46.0, 4000.0))  # spine and great vessels
    place = np.array([8.0 + rng.normal(0.0, 4.0), 58.0, 4.0])
    fissure = ellipsoid(grid, place, (3.2, 28.0, 30.0), axes=_axes((1.0, -0.2, 0.0), (0, 1, 0)))
    return np.maximum.reduce([lobes, belly, -behind]), fissure


def _spleen(rng: Generator, grid: PhantomGrid, belly: Body, *, neighbors: Body) -> Body:
    """A bean along the tenth rib: its back follows the wall, its hollow faces the stomach."""
    size = float(rng.uniform(1.0, 1.65))
    along = np.array([-0.25, 0.62, -0.7]) + rng.normal(0.0, 0.14, 3)
    axes = _axes(along, np.array([-0.86, -0.5, 0.1]) + rng.normal(0.0, 0.1, 3))
    place = np.array([-81.0, -39.0, 27.0]) + rng.normal(0.0, 1.0, 3) * (3.0, 5.0, 8.0)
    semi = size * rng.uniform(0.88, 1.12, 3) * np.array([58.0, 32.0, 44.0])
    bean = ellipsoid(grid, place, semi, axes=axes) + 1.8 * smooth_field(rng, grid, 30.0)
    hilum = place + size * (6.0 * axes[0] - float(rng.uniform(35.0, 41.0)) * axes[1])
    hollow = ellipsoid(grid, hilum, size * np.array([34.0, 22.0, 26.0]), axes=axes)
    return _shared(_shared(_shared(bean, -hollow), belly), 2.0 - neighbors)


def _kidneys(rng: Generator, grid: PhantomGrid) -> tuple[Body, Body]:
    kidneys, sinuses = [], []
    for side, height in ((-1, -28.0), (1, -40.0)):  # the liver keeps the right one lower
        size = float(rng.uniform(0.88, 1.1))
        place = np.array([side * 54.0, -46.0, height]) + rng.normal(0.0, 1.0, 3) * (3, 3, 9)
        along = np.array([side * -0.28, -0.22, 1.0]) + rng.normal(0.0, 0.05, 3)
        axes = _axes(along, (side * -0.75, 0.66, 0.0))
        body = ellipsoid(grid, place, size * np.array([54.0, 29.0, 25.0]), axes=axes)
        hilum = place + size * 17.0 * axes[1]
        sinus = ellipsoid(grid, hilum, size * np.array([26.0, 17.0, 10.0]), axes=axes)
        kidneys.append(body + 1.2 * smooth_field(rng, grid, 24.0))
        sinuses.append(sinus + 3.0 * smooth_field(rng, grid, 16.0))
    return np.minimum(*kidneys), np.minimum(*sinuses)


def _pancreas(rng: Generator, grid: PhantomGrid) -> Body:
    path = np.array(_PANCREAS, float) + rng.normal(0.0, 2.5, (len(_PANCREAS), 3))
    radii = np.array([11.0, 14.0, 10.0, 9.0, 9.0, 8.0]) * float(rng.uniform(0.8, 1.1))
    return tube(grid, path, radii) + 2.0 * smooth_field(rng, grid, 14.0)


def _stomach(rng: Generator, grid: PhantomGrid, belly: Body) -> Body:
    path = np.array(_STOMACH, float) + rng.normal(0.0, 2.5, (len(_STOMACH), 3))
    path += rng.normal(0.0, 1.0, 3) * (4.0, 4.0, 6.0)
    fullness = float(rng.uniform(0.72, 1.1))
    radii = np.array([33.0, 31.0, 27.0, 22.0, 17.0, 11.0]) * ([fullness] * 4 + [1.0] * 2)
    body = tube(grid, path, radii, reach=25.0) + 1.8 * smooth_field(rng, grid, 20.0)
    gullet = tube(grid, [(-9, -14, 120), (-14, -10, 66), (-36, -6, 44)], [7.0, 8.0, 9.0])
    return merged(np.maximum(body, belly + 1.0), gullet, softness=5.0)
