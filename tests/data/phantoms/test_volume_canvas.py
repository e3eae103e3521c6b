from __future__ import annotations

import numpy as np
import pytest

from medkd.data.phantoms.phantom_grid import PhantomGrid, centered_affine
from medkd.data.phantoms.volume_canvas import VolumeCanvas
from medkd.data.phantoms.volume_shapes import ellipsoid

SHAPE = (20, 18, 12)


@pytest.fixture
def canvas():
    grid = PhantomGrid(SHAPE, centered_affine(SHAPE, (2.0, 2.0, 3.0)))
    canvas = VolumeCanvas(grid, num_classes=3, intensity=-100.0)
    canvas.paint(ellipsoid(grid, (0, 0, 0), (14, 13, 12)), 50.0, 1)
    canvas.paint(ellipsoid(grid, (3, 0, 0), (7, 7, 7)), np.full(SHAPE, 200.0, np.float32), 2)
    return canvas


def test_shares_of_each_voxel_sum_to_one(canvas):
    np.testing.assert_allclose(canvas.shares.sum(axis=0), 1.0, atol=1e-5)
    assert canvas.shares.min() >= 0


def test_intensity_is_the_mixture_of_the_shares(canvas):
    expected = np.tensordot(np.array([-100.0, 50.0, 200.0]), canvas.shares, axes=1)
    np.testing.assert_allclose(canvas.intensity, expected, atol=1e-2)
    assert ((canvas.shares > 0.05) & (canvas.shares < 0.95)).any(axis=0).sum() > 100


def test_a_faultless_observer_takes_the_largest_share(canvas):
    label = canvas.label(np.random.default_rng(0), error=0.0)
    np.testing.assert_array_equal(label, canvas.shares.argmax(axis=0))


def test_observers_differ_at_borders_only(canvas):
    labels = [canvas.label(np.random.default_rng(seed), error=0.3) for seed in range(2)]
    differ = labels[0] != labels[1]
    assert 0 < differ.mean() < 0.05
    assert canvas.shares.max(axis=0)[differ].max() < 0.95
    assert labels[0].dtype == np.uint8
