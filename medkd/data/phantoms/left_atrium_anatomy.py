"""Where things are around a left atrium: bodies in millimeters, its middle at the origin."""

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

__all__ = ["Atrium", "Mediastinum", "draw_atrium", "draw_mediastinum"]

_WALL = 2.0  # millimeters
_STUB = 11.0  # millimeters of the veins that a reader counts as atrium
# From the atrium into the left ventricle.
_TO_VENTRICLE = np.array([-0.45, 0.66, -0.6]) / np.linalg.norm([-0.45, 0.66, -0.6])
# Where each lung vein leaves the atrium, where it bends, where it enters its lung; and its radius.
_VEINS = (
    (((-20, -8, 11), (-36, -12, 18), (-66, -20, 30)), 7.0),
    (((-20, -12, -7), (-36, -21, -10), (-62, -36, -18)), 6.6),
    (((20, -6, 10), (37, -9, 17), (68, -14, 30)), 7.6),
    (((20, -12, -8), (36, -21, -11), (62, -36, -20)), 7.0),
)


@dataclass(frozen=True)
class Atrium:
    """The left atrium; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        cavity: its blood, with the appendage and the stubs of the lung veins, up to the valve.
        veins: the lung veins on their way to the lungs.
        wall: the cavity and the veins with their wall, which the valve has not.
        inflow: the blood on the other side of the valve.
    """

    cavity: Body
    veins: Body
    wall: Body
    inflow: Body


@dataclass(frozen=True)
class Mediastinum:
    """What lies around the left atrium; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        lungs: both lungs.
        airway: trachea and main bronchi.
        spine: the vertebrae.
        esophagus: behind the atrium.
        sac: the heart with its fat.
        left_ventricle: with its muscle.
        right_ventricle: its blood.
        right_atrium: its blood, parted from the left one by a thin septum.
        vessels: the blood of aorta, lung arteries and caval vein.
    """

    lungs: Body
    airway: Body
    spine: Body
    esophagus: Body
    sac: Body
    left_ventricle: Body
    right_ventricle: Body
    right_atrium: Body
    vessels: Body


def draw_atrium(rng: Generator, grid: PhantomGrid) -> Atrium:
    """The left atrium of a patient: normal or enlarged, its left veins apart or with one trunk.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.

    Returns:
        Its parts.
    """
    size = float(rng.uniform(0.92, 1.16))
    semi = size * np.array([32.0, 20.5, 25.0]) * rng.uniform(0.94, 1.06, 3)
    body = ellipsoid(grid, (0.0, 0.0, 0.0), semi) + 0.9 * smooth_field(rng, grid, 26.0)
    veins = _veins(rng, grid, size=size, has_trunk=int(rng.integers(4)) == 0)
    sway = rng.normal(0.0, 1.5, (3, 3))
    path = size * np.array([(-20, 10, 8), (-33, 20, 10), (-36, 31, 5)]) + sway
    appendage = tube(grid, path, size * np.array([9.0, 7.5, 4.5]))
    stubs = np.maximum(veins, body - _STUB)
    cavity = merged(merged(body, stubs, softness=5.0), appendage, softness=4.0)
    valve = _valve(grid, float(rng.uniform(0.78, 0.86)) * semi, rng.normal(0.0, 0.08, 3))
    return Atrium(
        cavity=np.maximum(cavity, valve).astype(np.float32),
        veins=np.maximum(veins, valve).astype(np.float32),
        wall=np.maximum(np.minimum(cavity, veins) - _WALL, valve).astype(np.float32),
        inflow=tube(grid, [14.0 * _TO_VENTRICLE, 44.0 * _TO_VENTRICLE], [16.0, 17.0]),
    )


def _veins(rng: Generator, grid: PhantomGrid, *, size: float, has_trunk: bool) -> Body:
    parts = []
    for number, (path, radius) in enumerate(_VEINS):
        points = np.array(path, float) * (size, size, size) + rng.normal(0.0, 1.8, (3, 3))
        if has_trunk and number < 2:  # both left veins leave at one place
            points[0] = size * np.array([-22.0, -10.0, 2.0])
            points[1, 2] *= 0.45
        width = radius * float(rng.uniform(0.88, 1.15))
        parts.append(tube(grid, points, [1.15 * width, width, 0.75 * width]))
    return np.minimum.reduce(parts)


def _valve(grid: PhantomGrid, semi: NDArray[np.float64], lean: NDArray[np.float64]) -> Body:
    """Negative on the atrium's side of the plane of the mitral valve."""
    normal = _TO_VENTRICLE + lean
    normal /= np.linalg.norm(normal)
    depth = float(np.linalg.norm(semi * normal))
    along = sum(
        np.float32(part) * axis for part, axis in zip(normal, (grid.x, grid.y, grid.z), strict=True)
    )
    return np.asarray(along - np.float32(depth), dtype=np.float32)


def draw_mediastinum(rng: Generator, grid: PhantomGrid) -> Mediastinum:
    """What lies around a patient's left atrium.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.

    Returns:
        Its parts.
    """
    pose = rng.normal(0.0, 1.5, 3)
    left = _ventricle(grid, pose)
    right = ellipsoid(grid, pose + np.array([16.0, 58.0, -36.0]), (40.0, 22.0, 36.0))
    right = np.maximum(right, 3.0 - left)
    width = float(rng.uniform(0.9, 1.12))
    semi = np.array([22.0, 26.0, 31.0]) * width
    right_atrium = ellipsoid(grid, pose + np.array([24.0 + semi[0], 22.0, -8.0]), semi)
    vessels = _vessels(rng, grid)
    heart = merged(merged(left, right, softness=12.0), right_atrium, softness=10.0)
    heart = merged(heart, ellipsoid(grid, (0.0, 4.0, 0.0), (37.0, 26.0, 30.0)), softness=8.0)
    middle = 44.0 + 20.0 * np.exp(-(((grid.y - 30.0) / 34.0) ** 2))
    middle = middle + 3.0 * smooth_field(rng, grid, 45.0) - np.abs(grid.x + 4.0)
    behind = -ellipsoid(grid, (0.0, -70.0, 0.0), (26.0, 30.0, 4000.0))
    return Mediastinum(
        lungs=np.maximum(np.maximum(middle, behind), -70.0 - grid.y),
        airway=_airway(grid),
        spine=tube(grid, [(0, -60, -80), (0, -62, 80)], [18.0, 18.0]),
        esophagus=tube(grid, [(-4, -33, 80), (-7, -35, 0), (-9, -33, -80)], [6.5, 7.0, 6.5]),
        sac=(heart - 4.0 - 2.0 * smooth_field(rng, grid, 30.0)).astype(np.float32),
        left_ventricle=left,
        right_ventricle=right,
        right_atrium=right_atrium,
        vessels=vessels,
    )


def _ventricle(grid: PhantomGrid, pose: NDArray[np.float64]) -> Body:
    long = np.array([-0.55, 0.7, -0.45]) / np.linalg.norm([-0.55, 0.7, -0.45])
    across = np.cross(long, (0.0, 0.0, 1.0))
    across /= np.linalg.norm(across)
    axes = np.stack([long, across, np.cross(long, across)])
    return ellipsoid(grid, pose + 58.0 * long, (47.0, 34.0, 34.0), axes=axes)


def _vessels(rng: Generator, grid: PhantomGrid) -> Body:
    sway = rng.normal(0.0, 1.5, (4, 3))
    root = float(rng.uniform(13.0, 16.5))
    tubes = [
        ([(6, 34, -8), (13, 33, 18), (16, 27, 80)], [root, root, root - 1.0]),
        ([(-22, -45, -80), (-24, -43, 0), (-23, -41, 80)], [11.5, 12.0, 12.5]),
        ([(-18, 44, 14), (-14, 30, 34), (-6, 14, 41)], [12.5, 12.0, 11.0]),
        ([(-6, 14, 41), (16, 3, 38), (60, -10, 32)], [10.0, 9.0, 7.5]),
        ([(-6, 14, 41), (-30, -8, 41), (-56, -24, 36)], [10.0, 9.0, 7.0]),
        ([(37, 16, 8), (33, 11, 30), (31, 9, 80)], [10.0, 9.0, 9.0]),
    ]
    owner = (0, 1, 2, 2, 2, 3)  # the lung arteries move together
    return np.minimum.reduce(
        [
            tube(grid, np.array(path, float) + sway[number], radii)
            for (path, radii), number in zip(tubes, owner, strict=True)
        ]
    )


def _airway(grid: PhantomGrid) -> Body:
    carina = (2, -20, 46)
    return np.minimum.reduce(
        [
            tube(grid, [(0, -14, 90), carina], [8.5, 8.0]),
            tube(grid, [carina, (24, -25, 34), (50, -30, 20)], [7.0, 6.5, 5.5]),
            tube(grid, [carina, (-22, -24, 36), (-52, -30, 24)], [6.5, 6.0, 5.0]),
        ]
    )
