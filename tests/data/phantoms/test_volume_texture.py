from __future__ import annotations

import numpy as np
import pytest

from medkd.data.phantoms.phantom_grid import PhantomGrid, centered_affine
from medkd.data.phantoms.volume_texture import (
    bias_field,
    smooth_field,
    voxel_noise,
    with_rician_noise,
)

SHAPE, SPACING = (40, 36, 20), (2.0, 2.0, 4.0)


@pytest.fixture(scope="module")
def grid():
    return PhantomGrid(SHAPE, centered_affine(SHAPE, SPACING))


def correlation(field, axis, lag):
    field = np.moveaxis(field, axis, 0)
    return np.corrcoef(field[:-lag].ravel(), field[lag:].ravel())[0, 1]


@pytest.mark.parametrize("band", [False, True])
def test_fields_are_standard_normal_and_follow_the_seed(grid, band):
    first, second, other = (
        smooth_field(np.random.default_rng(seed), grid, 6.0, band=band) for seed in (1, 1, 2)
    )
    assert first.shape == SHAPE
    assert first.mean() == pytest.approx(0, abs=0.1)
    assert first.std() == pytest.approx(1, abs=0.08)
    np.testing.assert_array_equal(first, second)
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.1


def test_blobs_are_as_wide_in_millimeters_along_every_axis(grid):
    """Gaussians of spread s on a fine lattice correlate as exp(-d^2 / (4 s^2))."""
    field = smooth_field(np.random.default_rng(0), grid, 10.0)
    expected = np.exp(-(8.0**2) / (4 * 4.0**2))
    for axis, lag in ((0, 4), (1, 4), (2, 2)):
        assert correlation(field, axis, lag) == pytest.approx(expected, abs=0.12)


def test_a_band_has_no_slow_part(grid):
    field = smooth_field(np.random.default_rng(0), grid, 8.0, band=True)
    plain = smooth_field(np.random.default_rng(0), grid, 8.0)
    blocks = [f.reshape(4, 10, 4, 9, 2, 10).mean(axis=(1, 3, 5)).std() for f in (field, plain)]
    assert blocks[0] < 0.75 * blocks[1]


def test_voxel_noise_is_correlated_where_it_is_blurred():
    noise = voxel_noise(np.random.default_rng(0), SHAPE, blur=(0.8, 0.8, 0.0))
    assert noise.std() == pytest.approx(1)
    assert correlation(noise, 0, 1) > 0.5
    assert abs(correlation(noise, 2, 1)) < 0.05


def test_bias_is_positive_and_as_strong_as_asked(grid):
    logarithm = np.log(bias_field(np.random.default_rng(0), grid, 0.2))
    assert logarithm.mean() == pytest.approx(0, abs=1e-4)
    assert logarithm.std() == pytest.approx(0.2, rel=1e-3)


def test_rician_noise_has_the_mean_of_rayleigh_without_signal():
    signal = np.zeros((30, 30, 30), np.float32)
    found = with_rician_noise(np.random.default_rng(0), signal, 0.5)
    assert found.min() >= 0
    assert found.mean() == pytest.approx(0.5 * np.sqrt(np.pi / 2), rel=0.01)
    assert not signal.any()
