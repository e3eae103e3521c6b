"""What encloses the organs of an upper abdomen: bodies in millimeters.

The origin lies in the middle of the trunk, where the celiac trunk leaves the aorta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.volume_shapes import ellipsoid, merged, superellipse, tube
from medkd.data.phantoms.volume_texture import smooth_field

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

    Body = NDArray[np.float32]

__all__ = ["AbdominalWall", "draw_abdominal_wall"]

_RIB_PERIOD = 27.0
_VERTEBRA = 32.0  # millimeters from disk to disk
# Top of each dome of the diaphragm, from side to side, from back to front, and its height.
_DOMES = ((57.0, 4.0, 84.0), (-57.0, -2.0, 76.0), (-8.0, 26.0, 66.0))


@dataclass(frozen=True)
class AbdominalWall:
    """What surrounds the organs; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        skin: the whole trunk.
        muscle: the trunk without the fat below the skin.
        back: the long muscles on both sides of the spine.
        seams: the fat between the layers of muscle.
        cavity: inside of ribs and muscles, lungs included.
        belly: the part of it below the diaphragm and beside the spine.
        lungs: what the scan shows of both.
        heart: its lower end, in its fat.
        psoas: the muscles from the spine to the thigh.
        crura: the legs of the diaphragm, beside the aorta.
        ribs: the bony part of the ribs.
        cartilage: their front ends.
        vertebrae: bodies of the vertebrae.
        disks: between them.
        arches: the bony rings behind them, with their processes.
        canal: the spinal canal.
    """

    skin: Body
    muscle: Body
    back: Body
    seams: Body
    cavity: Body
    belly: Body
    lungs: Body
    heart: Body
    psoas: Body
    crura: Body
    ribs: Body
    cartilage: Body
    vertebrae: Body
    disks: Body
    arches: Body
    canal: Body


def draw_abdominal_wall(rng: Generator, grid: PhantomGrid, *, girth: float) -> AbdominalWall:
    """The wall of a patient's abdomen, its bones and the diaphragm.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.
        girth: from 0 for a slim patient to 1 for a stout one.

    Returns:
        Its parts.
    """
    x, y, z = grid.x, grid.y, grid.z
    bulge = (4.0 + 18.0 * girth) * np.clip((70.0 - z) / 110.0, 0.0, 1.0) * (y > 0)
    width = float(rng.uniform(113.0, 121.0))
    cavity = superellipse(x, y - 3.0, width, 80.0 + bulge, power=2.3)
    muscle = superellipse(
        x, y + 8.0, width + float(rng.uniform(17.0, 22.0)), 99.0 + bulge, power=2.3
    )
    muscle = muscle + 1.5 * smooth_field(rng, grid, 60.0)
    fat = 5.0 + 17.0 * girth + float(rng.uniform(0.0, 4.0))
    skin = muscle - fat * (1.0 + 0.5 * np.clip(-y / 90.0, -0.2, 1.0))
    beside_spine = -ellipsoid(grid, (0.0, -62.0, 0.0), (42.0, 33.0, 4000.0))
    below = z - _diaphragm(rng, grid)
    heart = ellipsoid(grid, np.array([-22.0, 32.0, 98.0]) + rng.normal(0, 3, 3), (62, 42, 32))
    middle = 15.0 + 4.0 * smooth_field(rng, grid, 50.0) - np.abs(x + 5.0)
    pleura = -ellipsoid(grid, (0.0, -57.0, 0.0), (29.0, 26.0, 4000.0))
    lungs = np.maximum.reduce([cavity + 2.5, 1.0 - below, pleura, middle, -heart])
    vertebrae, disks, arches, canal = _spine(rng, grid)
    ribs, cartilage = _ribs(rng, grid, cavity)
    seams = np.abs(cavity - 11.5 - 1.5 * smooth_field(rng, grid, 40.0))
    return AbdominalWall(
        skin=skin,
        muscle=muscle,
        back=_both(ellipsoid(grid, (s * 29.0, -86.0, 0.0), (25.0, 17.0, 4000.0)) for s in (-1, 1)),
        seams=seams - np.float32(0.8 + 1.2 * girth),
        cavity=cavity,
        belly=np.maximum.reduce([cavity + 2.0, below + 3.0, beside_spine]),
        lungs=lungs,
        heart=heart,
        psoas=_both(
            tube(grid, [(s * 27, -50, -10), (s * 33, -46, -60), (s * 41, -38, -130)], [4, 14, 21])
            for s in (-1, 1)
        ),
        crura=_both(
            tube(grid, [(s * 15 - 3, -20, 70), (s * 15, -30, 20), (s * 10, -35, -50)], [5, 6, 4])
            for s in (-1, 1)
        ),
        ribs=ribs,
        cartilage=cartilage,
        vertebrae=vertebrae,
        disks=disks,
        arches=arches,
        canal=canal,
    )


def _both(sides: Iterable[Body]) -> Body:
    return np.minimum.reduce(list(sides))


def _diaphragm(rng: Generator, grid: PhantomGrid) -> Body:
    """Height of the diaphragm at each voxel: it falls ever more steeply toward the wall."""
    breath = float(rng.normal(0.0, 5.0))
    heights = []
    for x, y, top in _DOMES:
        from_top = ((grid.x - x) / 64.0) ** 2 + ((grid.y - y) / 82.0) ** 2
        rise = top + breath + float(rng.normal(0.0, 3.0))
        heights.append(rise - 34.0 * from_top - 26.0 * from_top**3)
    return np.maximum.reduce(heights) + 2.0 * smooth_field(rng, grid, 45.0)


def _ribs(rng: Generator, grid: PhantomGrid, cavity: Body) -> tuple[Body, Body]:
    """Ribs run down and forward in the wall; the costal arch leaves the front free."""
    fall = 0.5 * (np.abs(grid.x) + grid.y)
    phase = (grid.z + fall + float(rng.uniform(0, _RIB_PERIOD))) / _RIB_PERIOD
    height = 0.82 * np.abs(phase - np.round(phase)) * _RIB_PERIOD
    ribs = 4.2 * (np.hypot((cavity - 5.0) / 4.2, height / 6.5) - 1.0)
    arch = grid.y - 0.8 * grid.z + 0.25 * (130.0 - np.abs(grid.x))
    return np.maximum(ribs, arch - 35.0), np.maximum(ribs, arch - 70.0)


def _spine(rng: Generator, grid: PhantomGrid) -> tuple[Body, Body, Body, Body]:
    level = (grid.z + float(rng.uniform(0, _VERTEBRA))) / _VERTEBRA
    from_disk = np.abs(level - np.round(level)) * _VERTEBRA
    column = ellipsoid(grid, (0.0, -52.0, 0.0), (22.0, 17.0, 4000.0))
    column = column - 1.5 * np.cos(2 * np.pi * level)
    canal = ellipsoid(grid, (0.0, -76.0, 0.0), (10.0, 8.0, 4000.0))
    spinous = np.maximum(np.abs(grid.x) - 3.5, np.abs(grid.y + 95.0) - 14.0)
    transverse = np.maximum(np.abs(grid.x) - 34.0, np.abs(grid.y + 78.0) - 4.0)
    processes = merged(spinous, np.maximum(transverse, from_disk - 10.0), softness=4.0)
    # Between the processes the ring alone closes the canal.
    arches = np.minimum(canal - 4.5, np.maximum(processes, 5.0 - from_disk))
    return column, np.maximum(column, from_disk - 4.0), np.maximum(arches, -canal), canal
