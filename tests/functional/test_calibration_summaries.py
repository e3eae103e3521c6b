"""Maximum and root-mean-square calibration error; the other summary is in test_calibration.py."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from medkd.functional import (
    ReliabilityBins,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_bins,
    root_mean_square_calibration_error,
)

BATCH, CLASSES, NUM_BINS = 2, 3, 10

SUMMARIES = [
    maximum_calibration_error,
    lambda bins: root_mean_square_calibration_error(bins, debiased=False),
    lambda bins: root_mean_square_calibration_error(bins, debiased=True),
]
EVERY_SUMMARY = pytest.mark.parametrize("summary", SUMMARIES, ids=["max", "rms", "debiased"])


@pytest.fixture
def probs(spatial, generator):
    return torch.softmax(torch.randn(BATCH, CLASSES, *spatial, generator=generator) * 2, dim=1)


@pytest.fixture
def label(spatial, generator):
    return torch.randint(0, CLASSES, (BATCH, 1, *spatial), generator=generator)


@pytest.fixture
def mask(spatial, generator):
    return torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4


def groups(probs, label, mask, case):
    """Confidences and correctness of each bin that has a voxel, by numpy alone."""
    inside = mask[case, 0].numpy()
    values = probs[case].double().numpy()[:, inside]
    top, right = values.max(0), values.argmax(0) == label[case, 0].numpy()[inside]
    edges = np.arange(NUM_BINS + 1) / NUM_BINS
    chosen = [(top > low) & (top <= high) for low, high in pairwise(edges)]
    return [(top[part], right[part]) for part in chosen if part.any()], top.size


def one_bin(count, correct, confidence):
    return ReliabilityBins(
        count=torch.tensor([[count]]),
        correct=torch.tensor([[correct]]),
        confidence_sum=torch.tensor([[count * confidence]], dtype=torch.float64),
    )


def calibrated_cases(cases, voxels):
    """Right with the probability that is said, from 0.5 to 1; many small cases."""
    generator = torch.Generator().manual_seed(1)
    top = 0.5 + 0.5 * torch.rand(cases, 1, voxels, generator=generator)
    label = (torch.rand(cases, 1, voxels, generator=generator) > top).long()
    return reliability_bins(torch.cat([top, 1 - top], dim=1), label, num_bins=NUM_BINS)


class TestMaximumCalibrationError:
    def test_matches_loop_over_bins(self, probs, label, mask):
        error = maximum_calibration_error(reliability_bins(probs, label, num_bins=10, mask=mask))
        for case in range(BATCH):
            bins, _ = groups(probs, label, mask, case)
            expected = max(abs(right.mean() - top.mean()) for top, right in bins)
            assert error[case].item() == pytest.approx(expected, rel=1e-12)

    def test_is_not_below_the_expected_error(self, probs, label):
        bins = reliability_bins(probs, label)
        assert (maximum_calibration_error(bins) >= expected_calibration_error(bins)).all()

    def test_is_the_expected_error_of_one_bin(self, probs, label):
        bins = reliability_bins(probs, label, num_bins=1)
        torch.testing.assert_close(
            maximum_calibration_error(bins), expected_calibration_error(bins)
        )

    def test_is_one_for_certain_and_wrong(self):
        probs = torch.tensor([0.0, 1.0]).view(1, 2, 1).expand(1, 2, 5)
        bins = reliability_bins(probs, torch.zeros(1, 1, 5))
        assert maximum_calibration_error(bins).item() == 1.0


class TestRootMeanSquareCalibrationError:
    @pytest.mark.parametrize("debiased", [False, True])
    def test_matches_loop_over_bins(self, probs, label, mask, debiased):
        bins = reliability_bins(probs, label, num_bins=10, mask=mask)
        error = root_mean_square_calibration_error(bins, debiased=debiased)
        for case in range(BATCH):
            parts, num_voxels = groups(probs, label, mask, case)
            expected = 0.0
            for top, right in parts:
                squared = (right.mean() - top.mean()) ** 2
                if debiased:  # the unbiased variance of the mean of `right`
                    squared = squared - right.var(ddof=1) / right.size if right.size > 1 else 0.0
                expected += right.size / num_voxels * squared
            assert error[case].item() == pytest.approx(math.sqrt(max(expected, 0)), rel=1e-12)

    def test_is_not_below_the_expected_error(self, probs, label):
        bins = reliability_bins(probs, label)
        error = root_mean_square_calibration_error(bins, debiased=False)
        assert (error >= expected_calibration_error(bins)).all()
        assert (error <= maximum_calibration_error(bins)).all()

    def test_debiased_sees_no_error_where_there_is_none(self):
        """Mean of the squares over many small calibrated cases: biased above 0.01, debiased 0."""
        bins = calibrated_cases(cases=1000, voxels=60)
        biased = root_mean_square_calibration_error(bins, debiased=False).square().mean()
        count, accuracy = bins.count.double(), bins.correct.double() / bins.count.clamp_min(1)
        signed = (accuracy - bins.confidence_sum / bins.count.clamp_min(1)).square()
        signed = signed - accuracy * (1 - accuracy) / (count - 1).clamp_min(1)
        signed = (count * signed).masked_fill(count < 2, 0.0).sum(dim=1) / count.sum(dim=1)
        assert biased.item() > 0.01
        assert abs(signed.mean().item()) < 0.05 * biased.item()
        # Clamping each case at zero leaves something, but much less than there was.
        debiased = root_mean_square_calibration_error(bins, debiased=True).square()
        torch.testing.assert_close(debiased, signed.clamp_min(0))
        assert debiased.mean().item() < 0.5 * biased.item()

    def test_both_agree_on_many_voxels(self):
        bins = one_bin(10_000_000_000, 7_000_000_000, 0.9)
        plain, debiased = (
            root_mean_square_calibration_error(bins, debiased=value).item()
            for value in (False, True)
        )
        assert plain == pytest.approx(0.2)
        assert debiased == pytest.approx(0.2, rel=1e-8)
        assert debiased < plain

    def test_bin_of_one_voxel_adds_nothing_debiased(self):
        bins = one_bin(1, 0, 0.75)
        assert root_mean_square_calibration_error(bins, debiased=False).item() == 0.75
        assert root_mean_square_calibration_error(bins, debiased=True).item() == 0.0

    def test_negative_estimate_counts_as_zero(self):
        bins = one_bin(4, 2, 0.5)  # 0 - 0.25 / 3
        assert root_mean_square_calibration_error(bins, debiased=True).item() == 0.0


@EVERY_SUMMARY
def test_is_zero_for_calibrated(summary):
    top = torch.tensor([0.75] * 8 + [1.0] * 4)
    probs = torch.stack([top, 1 - top]).unsqueeze(0)
    label = torch.tensor([0] * 6 + [1] * 2 + [0] * 4).view(1, 1, 12)
    assert summary(reliability_bins(probs, label)).item() == 0.0


@EVERY_SUMMARY
def test_case_without_valid_voxel_is_nan(summary, probs, label, mask):
    mask[1] = False
    bins = reliability_bins(probs, label, mask=mask)
    assert summary(bins).isnan().tolist() == [False, True]
    assert not summary(bins.pooled()).isnan().any()


@EVERY_SUMMARY
def test_layout(summary, probs, label):
    error = summary(reliability_bins(probs, label))
    assert error.shape == (BATCH,)
    assert error.dtype == torch.float64
    assert ((error >= 0) & (error <= 1)).all()


@EVERY_SUMMARY
def test_leaves_bins_untouched(summary, probs, label):
    bins = reliability_bins(probs, label)
    before = [tensor.clone() for tensor in vars(bins).values()]
    summary(bins)
    for tensor, old in zip(vars(bins).values(), before, strict=True):
        assert torch.equal(tensor, old)
