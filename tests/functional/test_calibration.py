from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medkd.functional import (
    ReliabilityBins,
    expected_calibration_error,
    reliability_bins,
)
from medkd.functional import _voxels as voxels_module

BATCH, CLASSES = 2, 3


@pytest.fixture
def probs(spatial, generator):
    return torch.softmax(torch.randn(BATCH, CLASSES, *spatial, generator=generator) * 2, dim=1)


@pytest.fixture
def label(spatial, generator):
    return torch.randint(0, CLASSES, (BATCH, 1, *spatial), generator=generator)


@pytest.fixture
def mask(spatial, generator):
    return torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4


def bins_by_hand(probs, label, num_bins, mask=None):
    """One case, voxel by voxel, comparing with the edges in exact rational order."""
    count, correct, total = [0] * num_bins, [0] * num_bins, [[] for _ in range(num_bins)]
    probs, label = probs.double().numpy(), label.numpy()
    for place in np.ndindex(*probs.shape[1:]):
        if mask is not None and not mask[(0, *place)]:
            continue
        values = probs[(slice(None), *place)]
        confidence = float(values.max())
        numerator, denominator = confidence.as_integer_ratio()
        index = max(-(-numerator * num_bins // denominator) - 1, 0)  # ceiling, in integers
        count[index] += 1
        correct[index] += int(values.argmax() == label[(0, *place)])
        total[index].append(confidence)
    return count, correct, [math.fsum(part) for part in total]


def binary(confidences, dtype=torch.float32):
    top = torch.tensor(confidences, dtype=dtype)
    return torch.stack([top, 1 - top]).unsqueeze(0)


class TestReliabilityBins:
    @pytest.mark.parametrize("num_bins", [1, 7, 15])
    @pytest.mark.parametrize("masked", [False, True])
    def test_matches_voxel_loop(self, probs, label, mask, num_bins, masked):
        mask = mask if masked else None
        bins = reliability_bins(probs, label, num_bins=num_bins, mask=mask)
        for case in range(BATCH):
            count, correct, confidence_sum = bins_by_hand(
                probs[case], label[case], num_bins, None if mask is None else mask[case]
            )
            assert bins.count[case].tolist() == count
            assert bins.correct[case].tolist() == correct
            assert bins.confidence_sum[case].tolist() == pytest.approx(confidence_sum, rel=1e-14)

    def test_layout(self, probs, label):
        bins = reliability_bins(probs, label, num_bins=4)
        for tensor, dtype in (
            (bins.count, torch.int64),
            (bins.correct, torch.int64),
            (bins.confidence_sum, torch.float64),
        ):
            assert tensor.shape == (BATCH, 4)
            assert tensor.dtype == dtype

    def test_edges_belong_to_the_bin_below(self):
        # All of these are exact in float32, so their bins are known without rounding.
        bins = reliability_bins(
            binary([0.5, 0.625, 0.75, 0.875, 1.0]), torch.zeros(1, 1, 5), num_bins=8
        )
        assert bins.count.tolist() == [[0, 0, 0, 1, 1, 1, 1, 1]]

    def test_the_exact_value_decides_beside_an_edge(self):
        edge = 0.75
        below, above = (float(np.nextafter(np.float32(edge), np.float32(to))) for to in (0, 1))
        bins = reliability_bins(binary([below, edge, above]), torch.zeros(1, 1, 3), num_bins=4)
        assert bins.count.tolist() == [[0, 0, 2, 1]]
        # 0.6 in float32 is 0.60000002: above 3/5, so in the next bin of five.
        assert reliability_bins(binary([0.6]), torch.zeros(1, 1, 1), num_bins=5).count[0, 3] == 1

    def test_of_equal_classes_the_first_is_predicted(self):
        undecided = torch.full((1, 2, 4), 0.5)
        bins = reliability_bins(undecided, torch.tensor([[[0, 1, 1, 1]]]))
        assert bins.count.sum().item() == 4
        assert bins.correct.sum().item() == 1

    def test_a_tie_below_the_top_changes_nothing(self):
        probs = torch.tensor([0.2, 0.2, 0.6]).view(1, 3, 1)
        assert reliability_bins(probs, torch.full((1, 1, 1), 2)).correct.sum().item() == 1

    def test_outside_the_mask_anything_goes(self, probs, label, mask):
        spoilt_probs = torch.where(mask, probs, torch.full_like(probs, math.nan))
        spoilt_label = torch.where(mask, label, torch.full_like(label, 255))
        spoilt = reliability_bins(spoilt_probs, spoilt_label, mask=mask)
        clean = reliability_bins(probs, label, mask=mask)
        assert torch.equal(spoilt.count, clean.count)
        assert torch.equal(spoilt.correct, clean.correct)

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.float32, torch.bool])
    def test_label_of_any_dtype(self, dtype):
        probs = binary([0.9, 0.8, 0.7])
        label = torch.tensor([[[0, 1, 0]]])
        bins = reliability_bins(probs, label.to(dtype))
        assert torch.equal(bins.correct, reliability_bins(probs, label).correct)

    def test_rounding_above_one_is_tolerated(self):
        bins = reliability_bins(binary([1.0000001]), torch.zeros(1, 1, 1))
        assert bins.count[0, -1].item() == 1

    def test_chunks_change_nothing(self, probs, label, mask, monkeypatch):
        whole = reliability_bins(probs, label, mask=mask)
        monkeypatch.setattr(voxels_module, "_CPU_CHUNK", 7)
        parts = reliability_bins(probs, label, mask=mask)
        assert torch.equal(whole.count, parts.count)
        assert torch.equal(whole.correct, parts.correct)
        torch.testing.assert_close(whole.confidence_sum, parts.confidence_sum, rtol=1e-14, atol=0)

    def test_not_contiguous_is_the_same(self, probs, label):
        swapped = probs.transpose(-1, -2).contiguous().transpose(-1, -2)
        assert torch.equal(
            reliability_bins(swapped, label).count, reliability_bins(probs, label).count
        )

    def test_leaves_inputs_untouched(self, probs, label, mask):
        before = [tensor.clone() for tensor in (probs, label, mask)]
        reliability_bins(probs, label, mask=mask)
        for tensor, old in zip((probs, label, mask), before, strict=True):
            assert torch.equal(tensor, old)

    def test_records_no_gradient(self, probs, label):
        bins = reliability_bins(probs.requires_grad_(), label)
        assert not bins.confidence_sum.requires_grad

    def test_rejects_logits(self, probs, label):
        with pytest.raises(ValueError, match="`probs` to be probabilities from 0 to 1"):
            reliability_bins(probs * 5, label)

    def test_rejects_log_probs(self, probs, label):
        with pytest.raises(ValueError, match="`probs` to be probabilities from 0 to 1"):
            reliability_bins(probs.log(), label)

    def test_rejects_nan(self, probs, label):
        probs[0, 0, 0] = math.nan
        with pytest.raises(ValueError, match=r"`probs` to be probabilities.*nan"):
            reliability_bins(probs, label)

    def test_rejects_label_out_of_range(self, probs, label):
        with pytest.raises(ValueError, match=r"`label` to be class indices from 0 to 2.*to 255"):
            reliability_bins(probs, torch.where(label == 1, 255, label))

    def test_rejects_label_one_too_high(self, probs, label):
        with pytest.raises(ValueError, match=r"`label` to be class indices from 0 to 2.*1 to 3"):
            reliability_bins(probs, label + 1)

    def test_rejects_soft_label(self, probs, label):
        with pytest.raises(ValueError, match="`label` to be class indices, but got fractions"):
            reliability_bins(probs, label * 0.5)

    def test_rejects_one_hot_label(self, probs):
        with pytest.raises(ValueError, match=r"`label` of shape \(B, 1, \*spatial\)"):
            reliability_bins(probs, probs.round())

    def test_rejects_missing_label(self, probs):
        with pytest.raises(TypeError, match=r"`label` to be a torch\.Tensor, but got NoneType"):
            reliability_bins(probs, None)

    @pytest.mark.parametrize("num_bins", [0, -3])
    def test_rejects_number_of_bins(self, probs, label, num_bins):
        with pytest.raises(ValueError, match="`num_bins` to be at least 1"):
            reliability_bins(probs, label, num_bins=num_bins)


class TestExpectedCalibrationError:
    def test_matches_guo(self, probs, label):
        """Equation 3 of Guo et al. with its own loop over bins, in numpy."""
        error = expected_calibration_error(reliability_bins(probs, label, num_bins=10))
        for case in range(BATCH):
            top = probs[case].double().numpy().max(0).ravel()
            right = (probs[case].argmax(0) == label[case, 0]).numpy().ravel()
            expected = 0.0
            for index in range(10):
                inside = (top > index / 10) & (top <= (index + 1) / 10)
                if inside.any():
                    gap = abs(right[inside].mean() - top[inside].mean())
                    expected += inside.mean() * gap
            assert error[case].item() == pytest.approx(expected, rel=1e-12)

    def test_is_zero_for_calibrated(self):
        probs = binary([0.75] * 8 + [1.0] * 4)
        label = torch.tensor([0] * 6 + [1] * 2 + [0] * 4).view(1, 1, 12)
        assert expected_calibration_error(reliability_bins(probs, label)).item() == 0.0

    def test_is_one_for_certain_and_wrong(self, spatial):
        probs = torch.zeros(1, CLASSES, *spatial)
        probs[:, 1] = 1.0
        label = torch.full((1, 1, *spatial), 2)
        assert expected_calibration_error(reliability_bins(probs, label)).item() == 1.0

    def test_case_without_valid_voxel_is_nan(self, probs, label, mask):
        mask[1] = False
        bins = reliability_bins(probs, label, mask=mask)
        error = expected_calibration_error(bins)
        assert not error[0].isnan()
        assert error[1].isnan()
        assert not expected_calibration_error(bins.pooled()).isnan().any()

    def test_over_and_underconfidence_cancel_only_within_a_bin(self):
        probs = binary([0.9] * 10 + [0.6] * 10)
        label = torch.tensor([0] * 8 + [1] * 2 + [0] * 7 + [1] * 3).view(1, 1, 20)
        assert expected_calibration_error(reliability_bins(probs, label)).item() == pytest.approx(
            0.1
        )
        one_bin = expected_calibration_error(reliability_bins(probs, label, num_bins=1))
        assert one_bin.item() == pytest.approx(0.0, abs=1e-7)

    def test_is_exact_beyond_what_float32_can_count(self):
        """Ten thousand million voxels in one bin, of which one is wrong."""
        voxels = 10_000_000_000
        bins = ReliabilityBins(
            count=torch.tensor([[voxels]]),
            correct=torch.tensor([[voxels - 1]]),
            confidence_sum=torch.tensor([[float(voxels)]], dtype=torch.float64),
        )
        assert expected_calibration_error(bins).item() == 1 / voxels


class TestBinsAreSums:
    def test_parts_add_up_to_the_whole(self, probs, label):
        whole = reliability_bins(probs, label)
        first = reliability_bins(probs[..., :2], label[..., :2])
        second = reliability_bins(probs[..., 2:], label[..., 2:])
        parts = first + second
        assert torch.equal(parts.count, whole.count)
        assert torch.equal(parts.correct, whole.correct)
        torch.testing.assert_close(parts.confidence_sum, whole.confidence_sum, rtol=1e-14, atol=0)

    def test_pooled_is_one_long_case(self, probs, label):
        pooled = reliability_bins(probs, label).pooled()
        long = reliability_bins(
            torch.cat(list(probs), dim=-1).unsqueeze(0), torch.cat(list(label), dim=-1).unsqueeze(0)
        )
        assert torch.equal(pooled.count, long.count)
        assert torch.equal(pooled.correct, long.correct)

    def test_rejects_adding_other_bins(self, probs, label):
        with pytest.raises(ValueError, match=r"of one shape.*\(2, 5\) and \(2, 6\)"):
            reliability_bins(probs, label, num_bins=5) + reliability_bins(probs, label, num_bins=6)
