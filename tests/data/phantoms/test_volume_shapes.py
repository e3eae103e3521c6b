from __future__ import annotations

import itertools

import numpy as np
import pytest

from medkd.data.phantoms.phantom_grid import PhantomGrid, centered_affine
from medkd.data.phantoms.volume_shapes import ball_cloud, coverage, ellipsoid, merged, tube

SHAPE, SPACING = (22, 18, 12), (1.5, 2.0, 3.0)


@pytest.fixture(scope="module")
def grid():
    return PhantomGrid(SHAPE, centered_affine(SHAPE, SPACING, angles=(4.0, -8.0, 12.0)))


def volume(grid, body):
    return float(coverage(body).sum() * np.prod(grid.spacing))


def test_coordinates_are_those_of_the_affine(grid):
    for index in ((0, 0, 0), (3, 5, 7), (21, 17, 11)):
        expected = grid.affine @ np.array([*index, 1.0])
        found = [grid.x[index], grid.y[index], grid.z[index]]
        np.testing.assert_allclose(found, expected[:3], atol=1e-4)
    np.testing.assert_allclose(grid.spacing, SPACING)


def test_turning_keeps_the_middle_and_the_spacing():
    affine = centered_affine(SHAPE, SPACING, center=(1.0, -2.0, 3.0), angles=(20.0, 30.0, 40.0))
    middle = affine @ np.array([*((size - 1) / 2 for size in SHAPE), 1.0])
    np.testing.assert_allclose(middle[:3], (1.0, -2.0, 3.0))
    axes = affine[:3, :3] / SPACING
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)


def test_ellipsoid_has_the_volume_of_the_formula(grid):
    body = ellipsoid(grid, (1.0, 0.0, -1.0), (11.0, 9.0, 8.0))
    assert volume(grid, body) == pytest.approx(4 / 3 * np.pi * 11 * 9 * 8, rel=0.02)


def test_ball_as_ellipsoid_measures_the_distance(grid):
    expected = np.sqrt((grid.x - 1) ** 2 + grid.y**2 + grid.z**2) - 7.0
    near = np.abs(expected) < 2
    np.testing.assert_allclose(
        ellipsoid(grid, (1, 0, 0), (7, 7, 7))[near], expected[near], atol=0.7
    )


def test_ball_cloud_matches_a_loop_over_the_balls(grid):
    rng = np.random.default_rng(2)
    centers, radii = rng.uniform(-8, 8, (5, 3)), np.full(5, 2.5)
    places = np.stack([grid.x, grid.y, grid.z], axis=-1)
    expected = np.min(
        [
            np.linalg.norm(places - center, axis=-1) - radius
            for center, radius in zip(centers, radii, strict=True)
        ],
        axis=0,
    )
    found = ball_cloud(grid, centers, radii)
    np.testing.assert_allclose(found, np.minimum(expected, grid.reach), atol=1e-4)


def test_tube_is_a_cylinder_with_round_ends(grid):
    body = tube(grid, [(-8, 0, 0), (0, 0, 0), (8, 0, 0)], [5, 5, 5])
    assert volume(grid, body) == pytest.approx(np.pi * 25 * 16 + 4 / 3 * np.pi * 125, rel=0.03)


def test_merging_contains_both_and_fills_the_groove(grid):
    first = ellipsoid(grid, (-5, 0, 0), (6, 6, 6))
    second = ellipsoid(grid, (5, 0, 0), (6, 6, 6))
    union = np.minimum(first, second)
    soft = merged(first, second, softness=4.0)
    assert (soft <= union + 1e-4).all()
    assert soft.min() == pytest.approx(union.min(), abs=0.5)
    assert (union - soft).max() == pytest.approx(1.0, abs=0.2)  # a quarter of the softness


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_coverage_of_a_plane_is_exact(axis):
    grid = PhantomGrid(SHAPE, centered_affine(SHAPE, SPACING))
    along = (grid.x, grid.y, grid.z)[axis]
    for offset in (0.0, 0.3, -0.8):
        expected = np.clip(0.5 - (along - offset) / SPACING[axis], 0.0, 1.0)
        np.testing.assert_allclose(coverage(along - np.float32(offset)), expected, atol=1e-4)


def test_coverage_of_a_tilted_plane_is_near_that_of_many_points(grid):
    normal = np.array([0.6, -0.5, 0.62])
    body = normal[0] * grid.x + normal[1] * grid.y + normal[2] * grid.z - 1.0
    steps = (np.arange(6) + 0.5) / 6 - 0.5
    inside = np.zeros(SHAPE)
    for step in itertools.product(steps, repeat=3):
        shift = grid.affine[:3, :3] @ np.array(step)
        inside += body + normal @ shift < 0
    np.testing.assert_allclose(coverage(body), inside / 6**3, atol=0.12)


def test_thin_tubes_keep_their_share():
    """A rod thinner than a voxel does not fill the voxels that it runs through."""
    grid = PhantomGrid((9, 9, 9), centered_affine((9, 9, 9), (3.0, 3.0, 3.0)))
    filled = coverage(tube(grid, [(-20, 0, 0), (20, 0, 0)], [0.6, 0.6]))
    assert 0.5 < filled.max() < 0.75
