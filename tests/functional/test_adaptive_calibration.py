from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from medkd.functional import _voxels as voxels_module
from medkd.functional import (
    adaptive_calibration_error,
    adaptive_top_label_calibration_error,
    expected_calibration_error,
    reliability_bins,
)

BATCH, CLASSES = 2, 3

BOTH = pytest.mark.parametrize(
    "error_of", [adaptive_calibration_error, adaptive_top_label_calibration_error]
)


@pytest.fixture(params=["distinct", "ties"])
def probs(request, spatial, generator):
    probs = torch.softmax(torch.randn(BATCH, CLASSES, *spatial, generator=generator) * 2, dim=1)
    if request.param == "distinct":
        return probs
    first = (probs[:, 0] * 4).round() / 8  # five values, exact, so that few groups hold all voxels
    return torch.stack([first, first / 2, 1 - 1.5 * first], dim=1)


@pytest.fixture
def label(spatial, generator):
    return torch.randint(0, CLASSES, (BATCH, 1, *spatial), generator=generator)


@pytest.fixture
def mask(spatial, generator):
    return torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4


def error_by_hand(values, hits, num_bins):
    """Voxel by voxel into bins of exact rational mass; a tied voxel has its group's mean label."""
    means = {value: hits[values == value].mean() for value in np.unique(values)}
    capacity = Fraction(len(values), num_bins)
    gaps, index, room = [0.0] * num_bins, 0, capacity
    for value in np.sort(values):
        left = Fraction(1)
        while left > 0:
            part = min(left, room)
            gaps[index] += float(part) * (value - means[value])
            left, room = left - part, room - part
            if room == 0:
                index, room = index + 1, capacity
    return sum(map(abs, gaps)) / len(values)


def classes_of(probs, label, mask, case):
    inside = mask[case, 0].numpy()
    labels = label[case, 0].numpy()[inside]
    for index in range(CLASSES):
        yield probs[case, index].double().numpy()[inside], (labels == index).astype(float)


class TestAdaptiveCalibrationError:
    @pytest.mark.parametrize("num_bins", [1, 4, 15, 500])
    @pytest.mark.parametrize("masked", [False, True])
    def test_matches_voxel_loop(self, probs, label, mask, num_bins, masked):
        inside = mask if masked else torch.ones_like(mask)
        error = adaptive_calibration_error(
            probs, label, num_bins=num_bins, mask=mask if masked else None
        )
        for case in range(BATCH):
            expected = np.mean(
                [error_by_hand(*part, num_bins) for part in classes_of(probs, label, inside, case)]
            )
            assert error[case].item() == pytest.approx(expected, rel=1e-10, abs=1e-15)

    def test_matches_nixon_where_nothing_is_tied(self, generator):
        """Sort, split into equal ranges, mean over ranges and classes: the definition, in numpy."""
        probs = torch.softmax(torch.randn(1, CLASSES, 60, generator=generator), dim=1)
        label = torch.randint(0, CLASSES, (1, 1, 60), generator=generator)
        gaps = []
        for values, hits in classes_of(probs, label, torch.ones(1, 1, 60, dtype=torch.bool), 0):
            ranges = np.split(np.argsort(values), 12)
            gaps += [abs(hits[part].mean() - values[part].mean()) for part in ranges]
        error = adaptive_calibration_error(probs, label, num_bins=12)
        assert error.item() == pytest.approx(np.mean(gaps), rel=1e-12)

    def test_more_bins_than_voxels_judge_each_voxel(self):
        first = torch.tensor([0.25, 0.75, 0.5])
        probs = torch.stack([first, 1 - first]).unsqueeze(0)
        error = adaptive_calibration_error(probs, torch.tensor([[[0, 0, 1]]]), num_bins=99)
        assert error.item() == pytest.approx((0.75 + 0.25 + 0.5) / 3)

    def test_constant_forecast_of_the_frequency_has_no_error(self):
        probs = torch.tensor([0.25, 0.75]).view(1, 2, 1).expand(1, 2, 4)
        label = torch.tensor([[[1, 1, 1, 0]]])
        assert adaptive_calibration_error(probs, label).item() == pytest.approx(0, abs=1e-15)

    def test_certain_and_wrong(self, spatial):
        probs = torch.zeros(1, CLASSES, *spatial)
        probs[:, 1] = 1.0
        error = adaptive_calibration_error(probs, torch.full((1, 1, *spatial), 2))
        assert error.item() == pytest.approx(2 / 3)  # of three classes the first is right

    def test_shrinks_for_a_calibrated_generator(self, generator):
        first = torch.rand(1, 1, 40_000, generator=generator)
        label = (torch.rand(1, 1, 40_000, generator=generator) > first).long()
        probs = torch.cat([first, 1 - first], dim=1)
        assert adaptive_calibration_error(probs, label).item() < 0.01


class TestAdaptiveTopLabelCalibrationError:
    @pytest.mark.parametrize("num_bins", [1, 4, 15, 500])
    def test_matches_voxel_loop(self, probs, label, mask, num_bins):
        error = adaptive_top_label_calibration_error(probs, label, num_bins=num_bins, mask=mask)
        for case in range(BATCH):
            inside = mask[case, 0].numpy()
            values = probs[case].double().numpy()[:, inside]
            hits = values.argmax(0) == label[case, 0].numpy()[inside]
            expected = error_by_hand(values.max(0), hits.astype(float), num_bins)
            assert error[case].item() == pytest.approx(expected, rel=1e-10, abs=1e-15)

    def test_one_bin_is_the_expected_error_of_one_bin(self, probs, label):
        torch.testing.assert_close(
            adaptive_top_label_calibration_error(probs, label, num_bins=1),
            expected_calibration_error(reliability_bins(probs, label, num_bins=1)),
        )


@BOTH
def test_order_of_voxels_changes_nothing(error_of, probs, label, generator):
    order = torch.randperm(probs[0, 0].numel(), generator=generator)
    shuffled = error_of(probs.flatten(2)[..., order], label.flatten(2)[..., order])
    torch.testing.assert_close(shuffled, error_of(probs, label), rtol=1e-12, atol=1e-15)


@BOTH
def test_batch_is_its_cases(error_of, probs, label, mask):
    batch = error_of(probs, label, mask=mask)
    assert batch.dtype == torch.float64
    cases = [
        error_of(*(tensor[case : case + 1] for tensor in (probs, label)), mask=mask[case][None])
        for case in range(BATCH)
    ]
    assert torch.equal(batch, torch.cat(cases))


@BOTH
def test_chunks_change_nothing(error_of, probs, label, mask, monkeypatch):
    whole = error_of(probs, label, mask=mask)
    monkeypatch.setattr(voxels_module, "_CPU_CHUNK", 7)
    assert torch.equal(error_of(probs, label, mask=mask), whole)


@BOTH
def test_outside_the_mask_anything_goes(error_of, probs, label, mask):
    spoilt_probs = torch.where(mask, probs, torch.full_like(probs, math.nan))
    spoilt_label = torch.where(mask, label, torch.full_like(label, 255))
    spoilt = error_of(spoilt_probs, spoilt_label, mask=mask)
    assert torch.equal(spoilt, error_of(probs, label, mask=mask))


@BOTH
def test_case_without_valid_voxel_is_nan(error_of, probs, label, mask):
    mask[0] = False
    assert error_of(probs, label, mask=mask).isnan().tolist() == [True, False]


@BOTH
def test_leaves_inputs_untouched(error_of, probs, label, mask):
    before = [tensor.clone() for tensor in (probs, label, mask)]
    error_of(probs, label, mask=mask)
    for tensor, old in zip((probs, label, mask), before, strict=True):
        assert torch.equal(tensor, old)


@BOTH
def test_rejects_logits(error_of, probs, label):
    with pytest.raises(ValueError, match="`probs` to be probabilities from 0 to 1"):
        error_of(probs * 5 - 1, label)


@BOTH
def test_rejects_nan(error_of, probs, label):
    probs[0, 0, 0] = math.nan
    with pytest.raises(ValueError, match=r"`probs` to be probabilities.*nan"):
        error_of(probs, label)


@BOTH
def test_rejects_number_of_bins(error_of, probs, label):
    with pytest.raises(ValueError, match="`num_bins` to be at least 1, but got 0"):
        error_of(probs, label, num_bins=0)


@BOTH
def test_rejects_one_class(error_of, probs, label):
    with pytest.raises(ValueError, match=r"`probs` of shape \(B, C, \*spatial\)"):
        error_of(probs[:, :1], label)
