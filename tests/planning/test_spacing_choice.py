from __future__ import annotations

import numpy as np
import pytest

from medkd.planning import choose_spacing
from medkd.planning.spacing_choice import resampled_shape


def test_is_the_median():
    spacings = [(1.0, 1.0, 2.0), (0.8, 1.0, 2.5), (0.7, 1.2, 1.0)]
    assert choose_spacing(spacings, [(100, 100, 100)] * 3).value == [0.8, 1.0, 2.0]


def test_coarse_axis_takes_the_tenth_percentile():
    slices = [4.0, 5.0, 8.0, 8.0, 10.0]
    choice = choose_spacing([(1, 1, mm) for mm in slices], [(256, 256, 30)] * 5)
    assert choice.value == [1.0, 1.0, pytest.approx(np.percentile(slices, 10))]
    assert "10th percentile" in choice.reason


def test_coarse_axis_does_not_become_finer_than_the_others():
    slices = [0.5, 0.5, 8.0, 8.0, 8.0]
    choice = choose_spacing([(1.0, 2.0, mm) for mm in slices], [(256, 256, 30)] * 5)
    assert choice.value == [1.0, 2.0, 2.0]


def test_coarse_axis_with_many_slices_is_no_exception():
    slices = [4.0, 5.0, 8.0, 8.0, 10.0]
    choice = choose_spacing([(1, 1, mm) for mm in slices], [(256, 256, 100)] * 5)
    assert choice.value == [1.0, 1.0, 8.0]


@pytest.mark.parametrize("coarse", [0, 1, 2])
def test_any_axis_may_be_the_coarse_one(coarse):
    spacing, shape = np.ones(3), np.full(3, 200)
    spacing[coarse], shape[coarse] = 6.0, 12
    fine = spacing.copy()
    fine[coarse] = 4.0
    value = choose_spacing([fine, spacing, spacing], [shape] * 3).value
    assert value[coarse] == pytest.approx(4.4)
    assert [v for i, v in enumerate(value) if i != coarse] == [1.0, 1.0]


def test_resampling_keeps_at_least_a_voxel():
    assert resampled_shape((3, 10, 10), (0.1, 1.0, 1.0), (2.0, 0.5, 3.0)) == (1, 20, 3)
