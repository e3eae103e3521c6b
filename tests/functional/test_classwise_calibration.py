from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from medkd.functional import _voxels as voxels_module
from medkd.functional import (
    brier_decomposition,
    brier_score,
    classwise_bins,
    classwise_calibration_error,
    reliability_bins,
)

BATCH, CLASSES = 2, 3
TENSORS = ("count", "positive", "prob_sum", "squared_error_sum")


@pytest.fixture
def probs(spatial, generator):
    return torch.softmax(torch.randn(BATCH, CLASSES, *spatial, generator=generator) * 2, dim=1)


@pytest.fixture
def label(spatial, generator):
    return torch.randint(0, CLASSES, (BATCH, 1, *spatial), generator=generator)


@pytest.fixture
def mask(spatial, generator):
    return torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4


def bins_by_hand(probs, label, mask, num_bins):
    """One case, voxel by voxel, comparing with the edges in exact rational order."""
    count = np.zeros((CLASSES, num_bins), dtype=int)
    positive, squared_error = np.zeros_like(count), [[] for _ in range(CLASSES)]
    values = [[[] for _ in range(num_bins)] for _ in range(CLASSES)]
    probs, label = probs.double().numpy(), label.numpy()
    for place in np.ndindex(*probs.shape[1:]):
        if not mask[(0, *place)]:
            continue
        for index in range(CLASSES):
            value, hit = float(probs[(index, *place)]), int(label[(0, *place)] == index)
            numerator, denominator = value.as_integer_ratio()
            chosen = max(-(-numerator * num_bins // denominator) - 1, 0)  # ceiling, in integers
            count[index, chosen] += 1
            positive[index, chosen] += hit
            values[index][chosen].append(value)
            squared_error[index].append((value - hit) ** 2)
    prob_sum = [[math.fsum(part) for part in of_class] for of_class in values]
    return count, positive, prob_sum, [math.fsum(part) for part in squared_error]


def members_of_bins(probs, label, mask, case, num_bins):
    """Probabilities and outcomes of each class and bin that has a voxel, by numpy alone."""
    inside = mask[case, 0].numpy()
    edges = np.arange(num_bins + 1) / num_bins
    edges[0] = -1
    for index in range(CLASSES):
        values = probs[case, index].double().numpy()[inside]
        hits = (label[case, 0].numpy()[inside] == index).astype(float)
        for low, high in pairwise(edges):
            chosen = (values > low) & (values <= high)
            if chosen.any():
                yield index, values[chosen], hits[chosen]


class TestClasswiseBins:
    @pytest.mark.parametrize("num_bins", [1, 7, 15])
    @pytest.mark.parametrize("masked", [False, True])
    def test_matches_voxel_loop(self, probs, label, mask, num_bins, masked):
        mask = mask if masked else torch.ones_like(mask)
        bins = classwise_bins(probs, label, num_bins=num_bins, mask=mask if masked else None)
        for case in range(BATCH):
            count, positive, prob_sum, squared_error = bins_by_hand(
                probs[case], label[case], mask[case], num_bins
            )
            assert bins.count[case].tolist() == count.tolist()
            assert bins.positive[case].tolist() == positive.tolist()
            for index in range(CLASSES):
                assert bins.prob_sum[case, index].tolist() == pytest.approx(
                    prob_sum[index], rel=1e-13
                )
            assert bins.squared_error_sum[case].tolist() == pytest.approx(squared_error, rel=1e-13)

    def test_layout(self, probs, label):
        bins = classwise_bins(probs, label, num_bins=4)
        for name in TENSORS:
            tensor = getattr(bins, name)
            assert tensor.shape == ((BATCH, CLASSES) if "error" in name else (BATCH, CLASSES, 4))
            assert tensor.dtype == (torch.float64 if "sum" in name else torch.int64)

    def test_zero_and_edges_belong_to_the_bin_below(self):
        first = torch.tensor([0.0, 0.25, 0.5, 1.0])
        probs = torch.stack([first, 1 - first]).unsqueeze(0)
        bins = classwise_bins(probs, torch.zeros(1, 1, 4), num_bins=4)
        assert bins.count.tolist() == [[[2, 1, 0, 1], [1, 1, 1, 1]]]

    def test_two_classes_mirror_each_other(self, generator):
        first = torch.rand(1, 1, 50, generator=generator)
        probs = torch.cat([first, 1 - first], dim=1)
        bins = classwise_bins(probs, torch.randint(0, 2, (1, 1, 50), generator=generator))
        assert torch.equal(bins.count[:, 0], bins.count[:, 1].flip(-1))
        torch.testing.assert_close(bins.squared_error_sum[:, 0], bins.squared_error_sum[:, 1])

    def test_parts_add_up_to_the_whole(self, probs, label):
        whole = classwise_bins(probs, label)
        parts = classwise_bins(probs[..., :2], label[..., :2]) + classwise_bins(
            probs[..., 2:], label[..., 2:]
        )
        for name in TENSORS:
            torch.testing.assert_close(
                getattr(parts, name), getattr(whole, name), rtol=1e-13, atol=1e-14
            )

    def test_pooled_is_one_long_case(self, probs, label):
        pooled = classwise_bins(probs, label).pooled()
        long = classwise_bins(
            torch.cat(list(probs), dim=-1).unsqueeze(0), torch.cat(list(label), dim=-1).unsqueeze(0)
        )
        for name in TENSORS:
            torch.testing.assert_close(
                getattr(pooled, name), getattr(long, name), rtol=1e-13, atol=1e-14
            )

    def test_batch_is_its_cases(self, probs, label, mask):
        batch = classwise_bins(probs, label, mask=mask)
        for case in range(BATCH):
            part = slice(case, case + 1)
            single = classwise_bins(probs[part], label[part], mask=mask[part])
            for name in TENSORS:
                assert torch.equal(getattr(single, name), getattr(batch, name)[part])

    def test_chunks_change_nothing(self, probs, label, mask, monkeypatch):
        whole = classwise_bins(probs, label, mask=mask)
        monkeypatch.setattr(voxels_module, "_CPU_CHUNK", 7)
        parts = classwise_bins(probs, label, mask=mask)
        assert torch.equal(whole.count, parts.count)
        assert torch.equal(whole.positive, parts.positive)
        torch.testing.assert_close(whole.prob_sum, parts.prob_sum, rtol=1e-13, atol=1e-14)

    def test_outside_the_mask_anything_goes(self, probs, label, mask):
        spoilt_probs = torch.where(mask, probs, torch.full_like(probs, math.nan))
        spoilt_label = torch.where(mask, label, torch.full_like(label, 255))
        spoilt = classwise_bins(spoilt_probs, spoilt_label, mask=mask)
        clean = classwise_bins(probs, label, mask=mask)
        for name in TENSORS:
            assert torch.equal(getattr(spoilt, name), getattr(clean, name))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_leaves_inputs_untouched(self, probs, label, mask, dtype):
        probs = probs.to(dtype)
        before = [tensor.clone() for tensor in (probs, label, mask)]
        classwise_bins(probs, label, mask=mask)
        for tensor, old in zip((probs, label, mask), before, strict=True):
            assert torch.equal(tensor, old)

    def test_rejects_adding_other_bins(self, probs, label):
        with pytest.raises(ValueError, match=r"of one shape.*\(2, 3, 5\) and \(2, 3, 6\)"):
            classwise_bins(probs, label, num_bins=5) + classwise_bins(probs, label, num_bins=6)

    def test_rejects_negative_values_of_any_class(self, probs, label):
        probs[:, 0] -= 0.5
        with pytest.raises(ValueError, match="`probs` to be probabilities from 0 to 1"):
            classwise_bins(probs, label)

    def test_rejects_nan(self, probs, label):
        probs[0, 0, 0] = math.nan
        with pytest.raises(ValueError, match=r"`probs` to be probabilities.*nan"):
            classwise_bins(probs, label)

    def test_rejects_number_of_bins(self, probs, label):
        with pytest.raises(ValueError, match="`num_bins` to be at least 1"):
            classwise_bins(probs, label, num_bins=0)

    def test_rejects_label_of_another_shape(self, probs, label):
        with pytest.raises(ValueError, match=r"`label` of shape \(B, 1, \*spatial\)"):
            classwise_bins(probs, label[..., 1:])


class TestClasswiseCalibrationError:
    def test_matches_loop_over_bins(self, probs, label, mask):
        error = classwise_calibration_error(classwise_bins(probs, label, num_bins=10, mask=mask))
        for case in range(BATCH):
            expected = [0.0] * CLASSES
            for index, values, hits in members_of_bins(probs, label, mask, case, 10):
                gap = abs(hits.mean() - values.mean())
                expected[index] += values.size / int(mask[case].sum()) * gap
            assert error[case].tolist() == pytest.approx(expected, rel=1e-12)

    def test_is_zero_for_calibrated(self):
        probs = torch.tensor([0.5, 0.25, 0.25]).view(1, 3, 1).expand(1, 3, 8)
        label = torch.tensor([0, 0, 0, 0, 1, 1, 2, 2]).view(1, 1, 8)
        error = classwise_calibration_error(classwise_bins(probs, label))
        assert error.tolist() == [[0.0, 0.0, 0.0]]

    def test_is_one_for_certain_and_wrong_but_zero_for_the_third_class(self, spatial):
        probs = torch.zeros(1, CLASSES, *spatial)
        probs[:, 1] = 1.0
        label = torch.full((1, 1, *spatial), 2)
        error = classwise_calibration_error(classwise_bins(probs, label))
        assert error.tolist() == [[0.0, 1.0, 1.0]]

    def test_is_blind_where_the_top_label_is_not_and_the_reverse(self):
        """Calibrated at the top, but the rest is given to the wrong one of the other classes."""
        probs = torch.tensor([0.5, 0.5, 0.0]).view(1, 3, 1).expand(1, 3, 4)
        label = torch.tensor([[[0, 0, 2, 2]]])
        error = classwise_calibration_error(classwise_bins(probs, label))
        assert error.tolist() == [[0.0, 0.5, 0.5]]
        assert reliability_bins(probs, label).correct.sum().item() == 2

    def test_case_without_valid_voxel_is_nan(self, probs, label, mask):
        mask[1] = False
        bins = classwise_bins(probs, label, mask=mask)
        error = classwise_calibration_error(bins)
        assert error.shape == (BATCH, CLASSES)
        assert error.isnan().all(dim=1).tolist() == [False, True]
        assert not classwise_calibration_error(bins.pooled()).isnan().any()


class TestBrierDecomposition:
    @pytest.mark.parametrize("num_bins", [1, 3, 15, 100])
    def test_parts_add_up_to_the_score(self, probs, label, mask, num_bins):
        parts = brier_decomposition(classwise_bins(probs, label, num_bins=num_bins, mask=mask))
        torch.testing.assert_close(
            parts.calibration + parts.refinement,
            brier_score(probs, label, mask=mask),
            rtol=1e-13,
            atol=1e-14,
        )

    def test_matches_loop_over_bins(self, probs, label, mask):
        parts = brier_decomposition(classwise_bins(probs, label, num_bins=10, mask=mask))
        for case in range(BATCH):
            calibration = refinement = 0.0
            for _, values, hits in members_of_bins(probs, label, mask, case, 10):
                gap = values.mean() - hits.mean()
                calibration += values.size * gap**2
                refinement += ((values - hits - gap) ** 2).sum()
            num_voxels = int(mask[case].sum())
            assert parts.calibration[case].item() == pytest.approx(calibration / num_voxels)
            assert parts.refinement[case].item() == pytest.approx(refinement / num_voxels)

    def test_is_murphys_where_the_probabilities_of_a_bin_are_equal(self):
        """Reliability and uncertainty less resolution, of three forecasts of two classes."""
        forecasts, hits = [0.1, 0.5, 0.9], [[0, 0, 0, 1], [1, 0, 1, 1], [1, 1, 1, 0]]
        first = torch.tensor(forecasts, dtype=torch.float64).repeat_interleave(4)
        probs = torch.stack([first, 1 - first]).unsqueeze(0)
        label = 1 - torch.tensor(hits).view(1, 1, 12)
        parts = brier_decomposition(classwise_bins(probs, label))
        frequency, climate = np.mean(hits, axis=1), np.mean(hits)
        reliability = np.mean((np.array(forecasts) - frequency) ** 2)
        rest = climate * (1 - climate) - np.mean((frequency - climate) ** 2)
        # Twice: the score is summed over both classes.
        assert parts.calibration.item() == pytest.approx(2 * reliability)
        assert parts.refinement.item() == pytest.approx(2 * rest)

    def test_constant_forecast_of_the_frequency_is_all_refinement(self):
        probs = torch.tensor([0.25, 0.75]).view(1, 2, 1).expand(1, 2, 4)
        parts = brier_decomposition(classwise_bins(probs, torch.tensor([[[0, 1, 1, 1]]])))
        assert parts.calibration.item() == 0.0
        assert parts.refinement.item() == pytest.approx(2 * 0.25 * 0.75)

    def test_certain_forecasts_are_all_calibration(self):
        wrong = torch.tensor([0.0, 1.0]).view(1, 2, 1).expand(1, 2, 4)
        parts = brier_decomposition(classwise_bins(wrong, torch.zeros(1, 1, 4)))
        assert (parts.calibration.item(), parts.refinement.item()) == (2.0, 0.0)
        right = brier_decomposition(classwise_bins(wrong, torch.ones(1, 1, 4)))
        assert (right.calibration.item(), right.refinement.item()) == (0.0, 0.0)

    def test_is_never_negative(self, probs, label):
        parts = brier_decomposition(classwise_bins(probs, label, num_bins=1000))
        assert (parts.calibration >= 0).all()
        assert (parts.refinement >= 0).all()

    def test_case_without_valid_voxel_is_nan(self, probs, label, mask):
        mask[1] = False
        parts = brier_decomposition(classwise_bins(probs, label, mask=mask))
        assert parts.calibration.isnan().tolist() == [False, True]
        assert parts.refinement.isnan().tolist() == [False, True]
