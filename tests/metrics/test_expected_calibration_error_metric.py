from __future__ import annotations

import pytest
import torch
from monai.metrics import CalibrationErrorMetric

from medkd.functional import expected_calibration_error, reliability_bins
from medkd.metrics import ExpectedCalibrationErrorMetric


@pytest.fixture
def cases():
    generator = torch.Generator().manual_seed(8)
    probs = torch.softmax(torch.randn(3, 2, 9, 8, generator=generator), dim=1)
    return probs, torch.randint(0, 2, (3, 1, 9, 8), generator=generator)


def test_keeps_the_bins_of_all_cases(cases):
    probs, label = cases
    metric = ExpectedCalibrationErrorMetric(num_bins=10)
    metric(probs[:2], label[:2])
    metric(probs[2:], label[2:])
    kept, whole = metric.reliability_bins(), reliability_bins(probs, label, num_bins=10)
    assert kept.count.dtype == torch.int64
    assert kept.confidence_sum.dtype == torch.float64
    for name in ("count", "correct", "confidence_sum"):
        assert torch.equal(getattr(kept, name), getattr(whole, name))


def test_bins_of_a_new_round_are_new(cases):
    metric = ExpectedCalibrationErrorMetric()
    metric(*cases)
    metric.reset()
    with pytest.raises(RuntimeError, match="to be called before its bins are read"):
        metric.reliability_bins()
    metric(*cases)
    assert metric.reliability_bins().count.sum().item() == cases[1].numel()


def test_aggregation_can_be_repeated(cases):
    metric = ExpectedCalibrationErrorMetric()
    metric(*cases)
    first = metric.aggregate(), metric.get_buffer()
    assert torch.equal(metric.aggregate(), first[0])
    assert torch.equal(metric.get_buffer(), first[1])
    assert len(metric) == 3


def test_agrees_with_monai_on_a_small_image():
    """MONAI's error of one channel is the top-label one where that channel is always on top."""
    generator = torch.Generator().manual_seed(9)
    foreground = 0.5 + 0.5 * torch.rand(2, 1, 40, 30, generator=generator)
    label = (torch.rand(2, 1, 40, 30, generator=generator) > 0.3).long()
    ours = ExpectedCalibrationErrorMetric(num_bins=10)
    ours(torch.cat([1 - foreground, foreground], dim=1), label)
    monai = CalibrationErrorMetric(num_bins=10, include_background=True)
    monai(y_pred=foreground, y=label)
    assert ours.aggregate().item() == pytest.approx(monai.aggregate().item(), rel=1e-5)


@pytest.mark.slow
def test_is_right_on_a_volume_where_monai_is_wrong():
    """Four of five right at a confidence of 0.8, on 20 million voxels: calibrated.

    MONAI 1.6.1 sums in float32 by `scatter_add_`, which stands still at 16,777,216 per bin.
    """
    voxels = 20_000_000
    foreground = torch.full((1, 1, voxels), 0.8)
    label = torch.ones(1, 1, voxels, dtype=torch.uint8)
    label[..., ::5] = 0
    ours = ExpectedCalibrationErrorMetric()
    ours(torch.cat([1 - foreground, foreground], dim=1), label)
    rounding = abs(foreground[0, 0, 0].item() - 0.8)  # of 0.8 in float32
    assert ours.aggregate().item() == pytest.approx(rounding, abs=1e-12)
    assert ours.reliability_bins().count.sum().item() == voxels

    monai = CalibrationErrorMetric(num_bins=15)
    monai(y_pred=foreground, y=label)
    assert monai.aggregate().item() > 0.01


def test_small_parts_of_that_volume_add_up_to_it():
    """The bins of 1,000 parts pooled are the bins of the whole, to the last voxel."""
    probs = torch.tensor([0.05, 0.95]).view(1, 2, 1).expand(1000, 2, 40)
    label = torch.ones(1000, 1, 40, dtype=torch.uint8)
    label[..., ::20] = 0
    metric = ExpectedCalibrationErrorMetric()
    for part in range(0, 1000, 100):
        metric(probs[part : part + 100], label[part : part + 100])
    pooled = metric.reliability_bins().pooled()
    assert pooled.count.sum().item() == 40_000
    assert expected_calibration_error(pooled).item() == pytest.approx(0.0, abs=2e-8)


def test_rejects_number_of_bins():
    with pytest.raises(ValueError, match="`num_bins` to be at least 1, but got 0"):
        ExpectedCalibrationErrorMetric(num_bins=0)
