from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from medkd.functional import (
    ErrorBins,
    entropy,
    entropy_error_bins,
    error_bins,
    error_detection_auroc,
)
from medkd.functional import _voxels as voxels_module

BATCH, CLASSES = 2, 3
LOG_C = math.log(CLASSES)


@pytest.fixture
def maps(spatial, generator):
    """Uncertainty, prediction, label and mask."""
    shape = (BATCH, 1, *spatial)
    return (
        torch.rand(shape, generator=generator) ** 6 * LOG_C,
        torch.randint(0, CLASSES, shape, generator=generator),
        torch.randint(0, CLASSES, shape, generator=generator),
        torch.rand(shape, generator=generator) > 0.4,
    )


def histogram_by_hand(uncertainty, wrong, maximum):
    """Right and wrong by bin, voxel by voxel, with the logarithm for the octave."""
    right_count, wrong_count = [0] * 15361, [0] * 15361
    for value, is_wrong in zip(uncertainty.tolist(), wrong.tolist(), strict=True):
        share = value * (1 / maximum)
        mantissa, exponent = math.frexp(share)  # share = mantissa * 2^exponent, mantissa >= 1/2
        index = 0
        if share >= 2**-30:
            index = min(1 + (exponent + 29) * 512 + int((2 * mantissa - 1) * 512), 15360)
        (wrong_count if is_wrong else right_count)[index] += 1
    return right_count, wrong_count


def index_of(values, maximum=1.0, dtype=torch.float64):
    """The bin of each value."""
    indices = []
    for value in values:
        uncertainty = torch.full((1, 1, 1), value, dtype=dtype)
        bins = error_bins(uncertainty, torch.zeros(1, 1, 1), torch.zeros(1, 1, 1), maximum=maximum)
        indices.append(bins.right[0].nonzero().item())
    return indices


class TestErrorBins:
    @pytest.mark.parametrize("masked", [False, True])
    def test_matches_voxel_loop(self, maps, masked):
        uncertainty, prediction, label, mask = maps
        bins = error_bins(
            uncertainty, prediction, label, maximum=LOG_C, mask=mask if masked else None
        )
        for case in range(BATCH):
            inside = mask[case] if masked else torch.ones_like(mask[case])
            wrong = (prediction[case] != label[case])[inside]
            right_count, wrong_count = histogram_by_hand(uncertainty[case][inside], wrong, LOG_C)
            assert bins.right[case].tolist() == right_count
            assert bins.wrong[case].tolist() == wrong_count

    def test_layout(self, maps):
        bins = error_bins(*maps[:3], maximum=LOG_C)
        for tensor in (bins.right, bins.wrong):
            assert tensor.shape == (BATCH, 15361)
            assert tensor.dtype == torch.int64

    def test_bins_keep_the_order(self):
        values = np.geomspace(1e-12, 1.0, 300)
        indices = index_of(values)
        assert indices == sorted(indices)
        assert indices[0] == 0
        assert indices[-1] == 15360

    def test_values_of_one_bin_are_as_close_as_promised(self):
        """Whoever differs by more than a factor of 1 + 2^-9 is told apart."""
        values = np.geomspace(2.0**-29, 0.99, 200)
        for lower, upper in zip(
            index_of(values), index_of(values * (1 + 2.0**-9) * 1.0001), strict=True
        ):
            assert lower < upper

    def test_what_is_below_the_first_octave_is_one_bin(self):
        assert index_of([0.0, -0.0, 1e-300, 2.0**-30 * 0.999]) == [0] * 4
        assert index_of([2.0**-30]) == [1]

    def test_rounding_beyond_either_end_is_tolerated(self):
        assert index_of([-1e-7, 1.0000001, 1.0], dtype=torch.float32) == [0, 15360, 15360]

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_uncertainty_of_any_dtype(self, maps, dtype):
        rounded = maps[0].to(dtype)
        bins = error_bins(rounded, *maps[1:3], maximum=LOG_C)
        expected = error_bins(rounded.double(), *maps[1:3], maximum=LOG_C)
        assert torch.equal(bins.right, expected.right)
        assert torch.equal(bins.wrong, expected.wrong)

    def test_labels_of_other_dtypes(self, maps):
        uncertainty, prediction, label, _ = maps
        bins = error_bins(uncertainty, prediction.byte(), label.float(), maximum=LOG_C)
        assert torch.equal(
            bins.wrong, error_bins(uncertainty, prediction, label, maximum=LOG_C).wrong
        )

    def test_scale_changes_nothing(self, maps):
        uncertainty, prediction, label, _ = maps
        bins = error_bins(uncertainty, prediction, label, maximum=LOG_C)
        doubled = error_bins(uncertainty * 4, prediction, label, maximum=LOG_C * 4)
        assert torch.equal(bins.right, doubled.right)

    def test_outside_the_mask_anything_goes(self, maps):
        uncertainty, prediction, label, mask = maps
        spoilt = torch.where(mask, uncertainty, torch.full_like(uncertainty, math.nan))
        clean = error_bins(uncertainty, prediction, label, maximum=LOG_C, mask=mask)
        bins = error_bins(
            spoilt, prediction, torch.where(mask, label, 255), maximum=LOG_C, mask=mask
        )
        assert torch.equal(bins.right, clean.right)
        assert torch.equal(bins.wrong, clean.wrong)

    def test_case_without_valid_voxel_is_empty(self, maps):
        mask = maps[3]
        mask[1] = False
        bins = error_bins(*maps[:3], maximum=LOG_C, mask=mask)
        assert (bins.right + bins.wrong).sum(dim=1).tolist() == [mask[0].sum().item(), 0]

    def test_chunks_and_batching_change_nothing(self, maps, monkeypatch):
        whole = error_bins(*maps[:3], maximum=LOG_C, mask=maps[3])
        monkeypatch.setattr(voxels_module, "_CPU_CHUNK", 7)
        for case in range(BATCH):
            uncertainty, prediction, label, mask = (part[case : case + 1] for part in maps)
            bins = error_bins(uncertainty, prediction, label, maximum=LOG_C, mask=mask)
            assert torch.equal(bins.right[0], whole.right[case])
            assert torch.equal(bins.wrong[0], whole.wrong[case])

    def test_leaves_inputs_untouched(self, maps):
        before = [tensor.clone() for tensor in maps]
        error_bins(*maps[:3], maximum=LOG_C, mask=maps[3])
        for tensor, old in zip(maps, before, strict=True):
            assert torch.equal(tensor, old)

    @pytest.mark.parametrize("value", [math.nan, -0.1, LOG_C * 1.01, math.inf])
    def test_rejects_what_is_no_uncertainty(self, maps, value):
        uncertainty, prediction, label, _ = maps
        uncertainty[0, 0, 0, 0] = value
        with pytest.raises(ValueError, match=r"`uncertainty` to be from 0 to 1\.09861 at every"):
            error_bins(uncertainty, prediction, label, maximum=LOG_C)

    def test_rejects_class_axis(self, maps):
        uncertainty, prediction, label, _ = maps
        with pytest.raises(ValueError, match=r"`uncertainty` of shape \(B, 1, \*spatial\)"):
            error_bins(torch.cat([uncertainty] * 2, dim=1), prediction, label, maximum=LOG_C)

    def test_rejects_integers(self, maps):
        with pytest.raises(TypeError, match="`uncertainty` of a floating-point dtype"):
            error_bins(maps[1], *maps[1:3], maximum=LOG_C)

    def test_rejects_other_shapes(self, maps):
        uncertainty, prediction, label, mask = maps
        with pytest.raises(ValueError, match="`prediction` of the shape of `uncertainty`"):
            error_bins(uncertainty, prediction[..., 1:], label, maximum=LOG_C)
        with pytest.raises(ValueError, match="Expected `label` of shape"):
            error_bins(uncertainty, prediction, label[..., 1:], maximum=LOG_C)
        with pytest.raises(ValueError, match="Expected `mask` of shape"):
            error_bins(uncertainty, prediction, label, maximum=LOG_C, mask=mask[..., 1:])

    @pytest.mark.parametrize("maximum", [0.0, -1.0, math.inf])
    def test_rejects_maximum(self, maps, maximum):
        with pytest.raises(ValueError, match="`maximum` to be finite and above zero"):
            error_bins(*maps[:3], maximum=maximum)


class TestEntropyErrorBins:
    @pytest.mark.parametrize("classes", [2, 5])
    @pytest.mark.parametrize("masked", [False, True])
    def test_equals_bins_of_the_entropy_map(self, spatial, generator, classes, masked):
        logits = torch.randn(BATCH, classes, *spatial, generator=generator) * 4
        label = torch.randint(0, classes, (BATCH, 1, *spatial), generator=generator)
        mask = torch.rand(BATCH, 1, *spatial, generator=generator) > 0.4 if masked else None
        probs = logits.softmax(dim=1)
        bins = entropy_error_bins(probs, label, mask=mask)
        prediction = probs.argmax(dim=1, keepdim=True)
        expected = error_bins(
            entropy(probs), prediction, label, maximum=math.log(classes), mask=mask
        )
        assert torch.equal(bins.right, expected.right)
        assert torch.equal(bins.wrong, expected.wrong)

    def test_certain_and_undecided_are_the_first_and_the_last_bin(self):
        probs = torch.tensor([[[1.0, 0.2], [0.0, 0.2], [0.0, 0.2], [0.0, 0.2], [0.0, 0.2]]])
        bins = entropy_error_bins(probs, torch.tensor([[[0, 3]]]))
        assert bins.right.nonzero().tolist() == [[0, 0]]
        assert bins.wrong.nonzero().tolist() == [[0, 15360]]

    def test_leaves_inputs_untouched_and_records_no_gradient(self, spatial, generator):
        probs = torch.randn(BATCH, CLASSES, *spatial, generator=generator).softmax(dim=1)
        before = probs.clone()
        bins = entropy_error_bins(
            probs.requires_grad_(), torch.zeros(BATCH, 1, *spatial, dtype=torch.long)
        )
        assert torch.equal(probs, before)
        assert not bins.right.requires_grad

    def test_rejects_logits_and_nan(self, spatial, generator):
        logits = torch.randn(BATCH, CLASSES, *spatial, generator=generator)
        label = torch.zeros(BATCH, 1, *spatial)
        for wrong in (logits * 5, torch.full_like(logits, math.nan)):
            with pytest.raises(ValueError, match="`probs` to be"):
                entropy_error_bins(wrong, label)

    def test_rejects_label_out_of_range(self):
        with pytest.raises(ValueError, match="`label` to be class indices from 0 to 1"):
            entropy_error_bins(torch.full((1, 2, 3), 0.5), torch.full((1, 1, 3), 255))


class TestBinsAreSums:
    def test_parts_add_up_to_the_whole(self, maps):
        whole = error_bins(*maps[:3], maximum=LOG_C)
        parts = error_bins(*(part[..., :2] for part in maps[:3]), maximum=LOG_C) + error_bins(
            *(part[..., 2:] for part in maps[:3]), maximum=LOG_C
        )
        assert torch.equal(parts.right, whole.right)
        assert torch.equal(parts.wrong, whole.wrong)

    def test_pooled_is_one_long_case(self, maps):
        pooled = error_bins(*maps[:3], maximum=LOG_C).pooled()
        long = error_bins(
            *(torch.cat(list(part), dim=-1).unsqueeze(0) for part in maps[:3]), maximum=LOG_C
        )
        assert torch.equal(pooled.right, long.right)
        assert torch.equal(pooled.wrong, long.wrong)
        assert error_detection_auroc(pooled).shape == (1,)

    def test_rejects_adding_other_bins(self):
        few, many = (ErrorBins(torch.ones(2, n), torch.ones(2, n)) for n in (5, 6))
        with pytest.raises(ValueError, match=r"of one shape.*\(2, 5\) and \(2, 6\)"):
            few + many
