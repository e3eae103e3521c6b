"""Where things are in a chest: bodies in millimeters, the carina at the origin."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.volume_shapes import ellipsoid, merged, superellipse, tube
from medkd.data.phantoms.volume_texture import smooth_field

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

    Body = NDArray[np.float32]

__all__ = ["ChestWall", "Organs", "draw_chest_wall", "draw_organs"]

_RIB_PERIOD = 24.0
_SPINE = (0.0, -76.0)


@dataclass(frozen=True)
class ChestWall:
    """What surrounds the organs; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        skin: the whole trunk.
        muscle: the trunk without the fat below the skin.
        cavity: inside of the rib cage, down to the end of the scan.
        lungs: both lungs.
        abdomen: what lies below the diaphragm.
        ribs: the ribs.
        cartilage: their ends at the sternum.
        sternum: the breastbone.
        vertebrae: bodies of the vertebrae.
        disks: between them.
        arches: the bony rings behind them.
        canal: the spinal canal.
        scapulae: the shoulder blades.
    """

    skin: Body
    muscle: Body
    cavity: Body
    lungs: Body
    abdomen: Body
    ribs: Body
    cartilage: Body
    sternum: Body
    vertebrae: Body
    disks: Body
    arches: Body
    canal: Body
    scapulae: Body


@dataclass(frozen=True)
class Organs:
    """The organs of the mediastinum; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        heart: with its sac.
        chambers: the blood in it.
        aorta: root, arch and descending part.
        trachea: its air, down to the first centimeter of the main bronchi.
        airway_wall: round trachea and main bronchi.
        bronchi: the air of the main bronchi.
        esophagus: with its wall.
        esophagus_air: the air that it may hold.
        other_vessels: caval vein, lung arteries and the branches of the arch.
    """

    heart: Body
    chambers: Body
    aorta: Body
    trachea: Body
    airway_wall: Body
    bronchi: Body
    esophagus: Body
    esophagus_air: Body
    other_vessels: Body


def draw_chest_wall(rng: Generator, grid: PhantomGrid) -> ChestWall:
    """The wall of a patient's chest, its lungs and the diaphragm."""
    x, y, z = grid.x, grid.y, grid.z
    fat = float(rng.uniform(8.0, 24.0))
    cavity = _cavity(grid, half_width=float(rng.uniform(112, 126)), half_depth=82.0)
    widening = 10.0 * np.clip((z - 30.0) / 60.0, 0.0, 1.0)  # toward the shoulders
    muscle = superellipse(x, y + 18.0, 139.0 + widening, 104.0, power=2.6)
    muscle = muscle + 1.5 * smooth_field(rng, grid, 60.0)
    skin = muscle - fat * (1.0 + 0.4 * np.abs(y + 18.0) / 110.0)
    abdomen = z - _diaphragm(rng, grid)
    lungs = np.maximum(cavity + 2.0, -abdomen + 1.0)
    middle = 11.0 + 22.0 * np.exp(-(((y + 12.0) / 38.0) ** 2)) + 2.0 * smooth_field(rng, grid, 40)
    lungs = np.maximum(lungs, middle - np.abs(x + 3.0))
    beside_spine = ellipsoid(grid, (0.0, -88.0, 0.0), (40.0, 34.0, 4000.0))
    lungs = np.maximum(lungs, -beside_spine)

    shell = np.abs(cavity - 5.5) - 4.5
    phase = (z + 0.42 * y + float(rng.uniform(0, _RIB_PERIOD))) / _RIB_PERIOD
    stripes = (np.abs(phase - np.round(phase)) * _RIB_PERIOD - 5.5) * 0.92
    ribs = np.maximum(shell, stripes)
    front = 40.0 + 0.25 * np.maximum(-z, 0.0) - np.abs(x)  # cartilage starts here
    front = np.maximum(front, 0.0) * (y > 0)
    spine = float(rng.uniform(0, 25.0))
    level = (z + spine) / 25.0
    between = np.abs(level - np.round(level)) * 25.0 - 3.2
    column = ellipsoid(grid, (*_SPINE, 0.0), (17.0, 14.5, 4000.0))
    waist = column - 1.5 * np.cos(2 * np.pi * level)
    canal = ellipsoid(grid, (0.0, -99.0, 0.0), (9.0, 8.0, 4000.0))
    ring = np.maximum(canal - 6.0, -canal)
    process = np.maximum(np.abs(x) - 3.5, np.abs(y + 118.0) - 13.0)
    process = np.maximum(process, np.abs(level - np.round(level)) * 25.0 - 8.0)
    blade = np.abs(_scapular_plane(grid)) - 3.0
    blade = np.maximum(blade, np.abs(np.abs(x) - 92.0) - 34.0)
    blade = np.maximum(np.maximum(blade, 18.0 - z), y + 48.0)
    return ChestWall(
        skin=skin,
        muscle=muscle,
        cavity=cavity,
        lungs=lungs,
        abdomen=np.maximum(cavity, abdomen),
        ribs=np.maximum(ribs, front),
        cartilage=np.maximum(ribs, -front + 0.1),
        sternum=np.maximum(
            ellipsoid(grid, (0.0, 84.0, 0.0), (19.0, 6.0, 4000.0)), np.abs(z + 5.0) - 75.0
        ),
        vertebrae=waist,
        disks=np.maximum(waist, between),
        arches=np.minimum(ring, process),
        canal=canal,
        scapulae=blade,
    )


def _scapular_plane(grid: PhantomGrid) -> Body:
    """Surface behind the ribs on which the shoulder blades slide."""
    return superellipse(grid.x, grid.y + 6.0, 139.0, 104.0, power=2.3)


def draw_organs(rng: Generator, grid: PhantomGrid) -> Organs:
    """The organs of a patient's mediastinum, each a little out of its usual place."""
    heart, chambers = _heart(rng, grid)
    trachea, wall, bronchi = _airways(rng, grid)
    esophagus, air = _esophagus(rng, grid)
    return Organs(
        heart=heart,
        chambers=chambers,
        aorta=_aorta(rng, grid),
        trachea=trachea,
        airway_wall=wall,
        bronchi=bronchi,
        esophagus=esophagus,
        esophagus_air=air,
        other_vessels=_other_vessels(grid),
    )


def _cavity(grid: PhantomGrid, *, half_width: float, half_depth: float) -> Body:
    narrowing = np.clip((grid.z - 5.0) / 100.0, 0.0, 0.96)
    size = np.sqrt(1.0 - narrowing**2)
    y = grid.y + 4.0 + 22.0 * (1.0 - size)  # the apex lies toward the back
    rho = superellipse(grid.x, y, half_width, half_depth, power=2.3) / np.float32(half_depth) + 1.0
    return (rho - size) * np.float32(half_depth)


def _diaphragm(rng: Generator, grid: PhantomGrid) -> Body:
    """Height of the diaphragm at each voxel."""
    x, y = grid.x, grid.y
    height = float(rng.normal(-90.0, 6.0))
    domes = [
        height + rise - 0.0075 * (x - middle) ** 2 - 0.0065 * (y - 5.0) ** 2
        for middle, rise in ((62.0, 6.0), (-62.0, -6.0))
    ]
    return np.maximum(domes[0], domes[1])


def _heart(rng: Generator, grid: PhantomGrid) -> tuple[Body, Body]:
    pose = rng.normal(0.0, 3.0, 3)
    size = float(rng.uniform(0.93, 1.1))
    long = np.array([-0.72, 0.50, -0.48]) + rng.normal(0.0, 0.06, 3)
    long /= np.linalg.norm(long)
    across = np.cross(long, (0.0, 0.0, 1.0))
    across /= np.linalg.norm(across)
    axes = np.stack([long, across, np.cross(long, across)])
    center = np.array([-20.0, 24.0, -54.0]) + pose

    def ventricles(shift: float, semi: tuple[float, float, float]) -> Body:
        return ellipsoid(grid, center + shift * axes[1], size * np.array(semi), axes=axes)

    def atrium(place: tuple[float, float, float], semi: tuple[float, float, float]) -> Body:
        return ellipsoid(grid, pose + np.array(place), size * np.array(semi))

    right = atrium((27.0, 14.0, -45.0), (23.0, 26.0, 32.0))
    left = atrium((0.0, -16.0, -36.0), (32.0, 18.0, 23.0))
    heart = merged(ventricles(0.0, (58.0, 42.0, 40.0)), right, softness=12.0)
    heart = merged(heart, left, softness=10.0)
    blood = np.minimum(ventricles(17.0, (40.0, 13.0, 24.0)), ventricles(-14.0, (44.0, 16.0, 20.0)))
    blood = np.minimum(blood, np.minimum(right, left) + 4.0)
    return heart, np.maximum(blood, heart + 3.0)


def _aorta(rng: Generator, grid: PhantomGrid) -> Body:
    path = np.array(
        [
            (-2.0, 15.0, -35.0),
            (12.0, 24.0, -14.0),
            (16.0, 24.0, 10.0),
            (6.0, 16.0, 34.0),
            (-15.0, -1.0, 41.0),
            (-27.0, -24.0, 34.0),
            (-28.0, -45.0, 14.0),
            (-26.0, -54.0, -10.0),
            (-24.0, -57.0, -60.0),
            (-17.0, -56.0, -110.0),
            (-10.0, -54.0, -170.0),
        ]
    )
    path[:7] += rng.normal(0.0, 1.2, (7, 3))
    path[8:] += rng.normal(0.0, 2.0, (3, 3)) * (1.0, 0.4, 0.0)
    radii = np.array([14.5, 15.5, 15.0, 14.0, 13.5, 13.0, 12.5, 12.5, 12.0, 11.5, 11.0])
    return tube(grid, path, radii * float(rng.uniform(0.9, 1.12)))


def _airways(rng: Generator, grid: PhantomGrid) -> tuple[Body, Body, Body]:
    radius = float(rng.uniform(8.3, 9.8))
    lean = float(rng.normal(2.0, 2.0))
    windpipe = tube(
        grid,
        [(lean * 0.5, -6.0, 130.0), (lean, -11.0, 55.0), (0.0, -20.0, 4.0)],
        [radius] * 3,
    )
    fork = float(rng.normal(0.0, 2.0))
    right = [(0.0, -20.0, 4.0), (16.0, -23.0, -11.0), (40.0 + fork, -29.0, -26.0)]
    left = [(0.0, -20.0, 4.0), (-20.0, -23.0, -11.0), (-48.0 + fork, -31.0, -24.0)]
    mains = np.minimum(
        tube(grid, right, [0.85 * radius, 0.8 * radius, 0.62 * radius]),
        tube(grid, left, [0.8 * radius, 0.7 * radius, 0.58 * radius]),
    )
    air = merged(windpipe, mains, softness=3.0)
    # A contour of the trachea ends where the reader no longer sees one tube.
    end = np.maximum(np.abs(grid.x) - 17.0, -14.0 - grid.z)
    return np.maximum(air, end), air - 2.0, air


def _esophagus(rng: Generator, grid: PhantomGrid) -> tuple[Body, Body]:
    heights = np.array([130.0, 70.0, 30.0, 0.0, -40.0, -80.0, -115.0, -150.0])
    sideways = np.array([-2.0, -4.0, -4.0, -2.0, 2.0, 0.0, -9.0, -20.0])
    forward = np.array([-27.0, -31.0, -36.0, -39.0, -44.0, -43.0, -34.0, -22.0])
    sway = rng.normal(0.0, 1.6, (2, len(heights)))
    path = np.column_stack([sideways + sway[0], forward + 0.5 * sway[1], heights])
    width = rng.uniform(7.6, 9.8, len(heights))
    flat = float(rng.uniform(0.72, 0.95))
    # Flatter from front to back than from side to side: a tube in a stretched anatomy.
    squeezed = _squeezed(grid, flat)
    body = tube(squeezed, path / np.array([1.0, flat, 1.0]), width)
    bubbles = smooth_field(rng, grid, 34.0) - float(rng.uniform(0.9, 2.4))
    return body, np.maximum(body + 6.0, -4.0 * bubbles)


def _squeezed(grid: PhantomGrid, flat: float) -> PhantomGrid:
    squeezed = copy(grid)
    squeezed.y = grid.y / np.float32(flat)
    return squeezed


def _other_vessels(grid: PhantomGrid) -> Body:
    branches = [
        tube(grid, [(27, 14, -30), (27, 11, 20), (31, 12, 60), (46, 18, 110)], [9.5, 9, 8, 6.5]),
        tube(grid, [(31, 14, 42), (4, 30, 56), (-40, 22, 80)], [6.0, 5.5, 5.5]),
        tube(grid, [(-16, 36, -34), (-17, 26, -12), (-17, 10, 2)], [15.0, 14.0, 12.0]),
        tube(grid, [(-17, 10, 2), (-34, -14, 6), (-56, -32, -8)], [11.0, 10.0, 7.0]),
        tube(grid, [(-17, 10, 2), (8, 3, -9), (34, -8, -12), (56, -20, -20)], [11, 10, 9, 6.5]),
        tube(grid, [(6, 17, 42), (16, 10, 70), (24, 2, 120)], [6.5, 6.0, 5.0]),
        tube(grid, [(-13, 0, 48), (-16, 0, 75), (-18, -2, 120)], [4.0, 4.0, 4.0]),
        tube(grid, [(-25, -18, 44), (-30, -12, 75), (-44, -4, 120)], [5.5, 5.0, 5.0]),
        tube(grid, [(24, 0, -100), (26, 8, -70)], [13.0, 12.0]),
    ]
    return np.minimum.reduce(branches)
