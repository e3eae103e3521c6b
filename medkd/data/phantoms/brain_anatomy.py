"""Where things are in a head: bodies in millimeters, the thalami at the origin."""

from __future__ import annotations

from copy import copy
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

__all__ = ["Brain", "draw_brain"]

_GYRUS = 14.0  # millimeters, grain of the field whose zeros are the sulci
_REACH = 40.0  # millimeters from the brain stem at which the depth of the cortex is still right


@dataclass(frozen=True)
class Brain:
    """The parts of a brain; each body is a map ``(X, Y, Z)``, negative inside.

    Args:
        hull: cerebrum with the fluid in its sulci.
        cortex: cerebrum without that fluid.
        white_matter: what the cortex surrounds.
        deep_gray: basal ganglia and thalami.
        ventricles: all four, and the aqueduct.
        cerebellum: with its stalks.
        folia: the dark furrows of the cerebellum.
        arbor: the white matter of the cerebellum.
        brain_stem: midbrain, pons and medulla.
    """

    hull: Body
    cortex: Body
    white_matter: Body
    deep_gray: Body
    ventricles: Body
    cerebellum: Body
    folia: Body
    arbor: Body
    brain_stem: Body


def draw_brain(rng: Generator, grid: PhantomGrid, *, atrophy: float) -> Brain:
    """The brain of a patient.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.
        atrophy: 0 for a young brain, 1 for one with wide sulci and ventricles.

    Returns:
        Its parts.
    """
    cerebellum, stem = _cerebellum(grid), _brain_stem(grid)
    hull = np.maximum(_hull(grid), 1.6 - np.minimum(cerebellum, stem))
    furrow = _distance_to_furrows(rng, grid, hull) - np.float32(0.3 + 0.5 * atrophy)
    thickness = np.float32(rng.uniform(2.4, 2.9)) + 0.25 * smooth_field(rng, grid, 30.0)
    # The leaves of the cerebellum are stacked round its middle.
    around = np.hypot(grid.z + 34.0, 0.8 * (grid.y + 44.0)) + 1.6 * smooth_field(rng, grid, 16.0)
    leaves = np.sin(around * np.float32(2 * np.pi / 6.5))
    return Brain(
        hull=hull,
        cortex=np.maximum(hull, -furrow),
        white_matter=np.maximum(hull, thickness - furrow),
        deep_gray=_deep_gray(rng, grid),
        ventricles=_ventricles(rng, grid, width=1.0 + 0.8 * atrophy),
        cerebellum=cerebellum,
        folia=np.maximum(cerebellum, 2.2 * (0.8 - leaves)),
        arbor=cerebellum + 9.5 + 3.0 * leaves,
        brain_stem=stem,
    )


def _hull(grid: PhantomGrid) -> Body:
    low = copy(grid)
    low.z = np.where(grid.z < 10.0, 10.0 + (grid.z - 10.0) * 1.65, grid.z)  # a flat base
    upper = ellipsoid(low, (0.0, -6.0, 10.0), (66.0, 84.0, 60.0))
    side = copy(grid)
    side.x = np.abs(grid.x)
    temporal = ellipsoid(side, (42.0, 2.0, -19.0), (21.0, 40.0, 18.0))
    hollow = ellipsoid(grid, (0.0, 4.0, -32.0), (15.0, 24.0, 20.0))
    return np.maximum(merged(upper, temporal, softness=8.0), -hollow)


def _distance_to_furrows(rng: Generator, grid: PhantomGrid, hull: Body) -> Body:
    """Distance of each voxel of the cerebrum to the fluid outside it: surface, sulci, fissures."""
    field = smooth_field(rng, grid, _GYRUS, band=True)
    slopes = np.gradient(field, *grid.spacing.tolist())
    steepness = np.sqrt(sum(slope**2 for slope in slopes))
    sulcus = np.abs(field) / np.maximum(steepness, 0.4 * steepness.mean())
    bottom = 18.0 + 4.0 * smooth_field(rng, grid, 25.0)
    middle = ellipsoid(grid, (0.0, -6.0, 5.0), (32.0, 38.0, 21.0))
    sulcus = np.maximum(sulcus, np.maximum(-hull - bottom, -middle))

    wave = 1.2 * smooth_field(rng, grid, 35.0)
    core = ellipsoid(grid, (0.0, -4.0, 3.0), (400.0, 40.0, 25.0))
    between = np.maximum(np.abs(grid.x + wave), -core)

    lateral = np.abs(grid.z + 3.0 + 0.42 * grid.y + 2.0 * wave) * 0.92
    lateral = np.maximum(lateral, np.maximum(33.0 - np.abs(grid.x), np.abs(grid.y) - 36.0))
    return np.minimum(np.minimum(-hull, sulcus), np.minimum(between, lateral))


def _deep_gray(rng: Generator, grid: PhantomGrid) -> Body:
    side = copy(grid)
    side.x = np.abs(grid.x)
    jitter = rng.normal(0.0, 0.7, (3, 3))
    out = np.array([(0.94, -0.34, 0.0), (0.34, 0.94, 0.0), (0.0, 0.0, 1.0)])
    thalamus = ellipsoid(side, jitter[0] + (11.5, -14.0, 4.0), (8.5, 14.5, 9.0), axes=out)
    lens = ellipsoid(side, jitter[1] + (25.0, 4.0, 1.0), (6.5, 16.5, 9.5), axes=out.T)
    caudate = tube(
        side,
        np.array([(12, 20, 4), (13, 16, 12), (16, 2, 19), (20, -16, 20)]) + jitter[2],
        [5.5, 5.0, 3.4, 2.2],
    )
    return np.minimum(np.minimum(thalamus, lens), caudate)


def _ventricles(rng: Generator, grid: PhantomGrid, *, width: float) -> Body:
    parts = []
    for hemisphere in (-1.0, 1.0):
        size = width * float(rng.uniform(0.9, 1.12))
        flip = np.array([hemisphere, 1.0, 1.0])
        body = [(8, 28, 6), (7, 20, 13), (9, 0, 20), (14, -22, 19), (22, -38, 11)]
        horns = [
            ([*body, (24, -54, 8), (22, -66, 7)], [2.2, 4.0, 3.8, 4.2, 5.6, 3.6, 1.8]),
            ([(22, -38, 11), (30, -28, -3), (33, -10, -14)], [5.0, 3.2, 2.0]),
        ]
        parts += [tube(grid, path * flip, np.array(radii) * size) for path, radii in horns]
    third = ellipsoid(grid, (0.0, -8.0, 2.0), (1.5 * width + 0.4, 13.0, 9.0))
    aqueduct = tube(grid, [(0, -22, -3), (0, -31, -16), (0, -37, -30)], [1.2, 1.2, 1.5])
    fourth = ellipsoid(grid, (0.0, -37.5, -31.0), (6.5 * width**0.5, 4.5, 10.0))
    return np.minimum.reduce([*parts, third, aqueduct, fourth])


def _cerebellum(grid: PhantomGrid) -> Body:
    side = copy(grid)
    side.x = np.abs(grid.x)
    tilt = np.array([(1.0, 0.0, 0.0), (0.0, 0.92, 0.39), (0.0, -0.39, 0.92)])
    halves = ellipsoid(side, (22.0, -58.0, -38.0), (30.0, 28.0, 20.0), axes=tilt)
    worm = ellipsoid(grid, (0.0, -54.0, -30.0), (10.0, 22.0, 21.0))
    stalk = tube(side, [(10, -26, -30), (18, -48, -36)], [8.0, 9.0], reach=_REACH)
    return merged(merged(halves, worm, softness=5.0), stalk, softness=4.0)


def _brain_stem(grid: PhantomGrid) -> Body:
    legs = copy(grid)
    legs.x = np.abs(grid.x)
    path = [(0, -18, -6), (0, -20, -17), (0, -21, -28), (0, -27, -43), (0, -34, -66)]
    trunk = tube(grid, path, [11.0, 12.0, 14.5, 9.5, 6.5], reach=_REACH)
    return merged(
        trunk, tube(legs, [(8, -17, -14), (13, -11, -5)], [6.0, 4.5], reach=_REACH), softness=4.0
    )
