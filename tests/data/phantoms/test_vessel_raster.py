from __future__ import annotations

import numpy as np
import pytest

from medkd.data.phantoms.vessel_raster import sample_branches, stamp
from medkd.data.phantoms.vessel_tree import Branch

SIZE = 24


def straight(radius):
    points = np.array([[-0.5, 0.1], [0.5, 0.1]])
    branch = Branch("vein", points, np.full(2, radius / 10), np.ones(2))
    return sample_branches([branch], field_center=(12.0, 11.0), field_radius=10.0)


def test_stamp_matches_a_loop_over_pixels_and_samples():
    samples = straight(2.0)
    expected = np.full((SIZE, SIZE), -1.0)
    for row in range(SIZE):
        for column in range(SIZE):
            distances = np.hypot(column + 0.5 - samples.x, row + 0.5 - samples.y)
            expected[row, column] = max(-1.0, (samples.radius - distances).max())
    found = stamp(
        samples,
        SIZE,
        lambda distance, chosen: samples.radius[chosen] - distance,
        margin=1.0,
        background=-1.0,
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_finer_map_shows_the_same_area(scale):
    samples = straight(2.0)
    inside = stamp(samples, SIZE, lambda d, chosen: samples.radius[chosen] - d, scale=scale) > 0
    assert inside.shape == (SIZE * scale, SIZE * scale)
    # A bar of length 10 and width 4 with round ends.
    assert inside.sum() / scale**2 == pytest.approx(40 + 4 * np.pi, rel=0.12)


def test_samples_are_at_most_half_a_pixel_apart():
    samples = straight(1.0)
    assert np.hypot(np.diff(samples.x), np.diff(samples.y)).max() <= 0.5


def test_ignores_what_lies_outside_the_image():
    samples = straight(2.0)
    outside = samples._replace(x=samples.x + 100)
    assert stamp(outside, SIZE, lambda d, _: d + 1).max() == 0
