from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from medkd.functional import (
    ErrorBins,
    area_under_risk_coverage,
    entropy,
    error_bins,
    error_detection_auroc,
    excess_area_under_risk_coverage,
    risk_coverage_curve,
)

SCORES = [area_under_risk_coverage, excess_area_under_risk_coverage, error_detection_auroc]


@pytest.fixture
def bins(generator):
    """Three cases in nine bins, some of them empty."""
    right, wrong = (torch.randint(0, 4, (3, 9), generator=generator) for _ in range(2))
    right[:, 2] = wrong[:, 2] = 0
    right[1, 0] = wrong[1, 0] = 0
    return ErrorBins(right=right, wrong=wrong)


def errors_of(right, wrong):
    """Errors of the voxels bin by bin, as a list of lists."""
    return [[0] * int(r) + [1] * int(w) for r, w in zip(right, wrong, strict=True)]


def area_of(errors):
    """The definition: mean over i of the mean error of the first i."""
    return float(np.mean(np.cumsum(errors) / np.arange(1, len(errors) + 1)))


def one_bin_each(errors):
    """A ranking without ties."""
    wrong = torch.tensor([errors])
    return ErrorBins(right=1 - wrong, wrong=wrong)


class TestAreaUnderRiskCoverage:
    def test_matches_the_definition_without_ties(self, generator):
        errors = torch.randint(0, 2, (40,), generator=generator).tolist()
        area = area_under_risk_coverage(one_bin_each(errors)).item()
        assert area == pytest.approx(area_of(errors), rel=1e-12)

    @pytest.mark.parametrize(
        ("right", "wrong"),
        [([2, 0, 1], [1, 0, 2]), ([0, 3], [2, 1]), ([1, 1, 1], [1, 1, 0]), ([4], [2])],
    )
    def test_ties_are_the_mean_over_all_their_orders(self, right, wrong):
        orders = itertools.product(
            *(list(itertools.permutations(group)) for group in errors_of(right, wrong))
        )
        areas = [area_of(list(itertools.chain(*order))) for order in orders]
        bins = ErrorBins(right=torch.tensor([right]), wrong=torch.tensor([wrong]))
        assert area_under_risk_coverage(bins).item() == pytest.approx(np.mean(areas), rel=1e-12)

    def test_is_zero_without_an_error(self):
        bins = ErrorBins(right=torch.tensor([[3, 0, 5]]), wrong=torch.zeros(1, 3).long())
        assert area_under_risk_coverage(bins).item() == 0.0

    def test_is_one_if_all_is_wrong(self):
        bins = ErrorBins(right=torch.zeros(1, 3).long(), wrong=torch.tensor([[3, 0, 5]]))
        assert area_under_risk_coverage(bins).item() == pytest.approx(1.0, rel=1e-14)

    def test_is_the_error_rate_if_uncertainty_says_nothing(self):
        one_bin = ErrorBins(right=torch.tensor([[0, 70]]), wrong=torch.tensor([[0, 30]]))
        assert area_under_risk_coverage(one_bin).item() == pytest.approx(0.3, rel=1e-14)
        same_in_all = ErrorBins(right=torch.tensor([[7, 70, 14]]), wrong=torch.tensor([[3, 30, 6]]))
        assert area_under_risk_coverage(same_in_all).item() == pytest.approx(0.3, rel=1e-13)

    def test_is_exact_for_a_volume(self):
        """78 million voxels, all right ones first: harmonic numbers by their asymptotic series."""
        right, wrong = 77_000_000, 1_643_200
        bins = ErrorBins(right=torch.tensor([[right, 0]]), wrong=torch.tensor([[0, wrong]]))
        total = right + wrong
        # H_N - H_n = log((2N + 1) / (2n + 1)) up to 1 / (24 n^2), 1e-17 here.
        harmonic = math.log1p(2 * wrong / (2 * right + 1))
        expected = (wrong - right * harmonic) / total
        assert area_under_risk_coverage(bins).item() == pytest.approx(expected, abs=1e-13)


class TestExcessAreaUnderRiskCoverage:
    def test_matches_sorted_voxels(self, bins):
        excess = excess_area_under_risk_coverage(bins)
        for case in range(3):
            errors = list(itertools.chain(*errors_of(bins.right[case], bins.wrong[case])))
            oracle = area_of(sorted(errors))
            expected = area_under_risk_coverage(bins)[case].item() - oracle
            assert excess[case].item() == pytest.approx(expected, rel=1e-12)

    def test_is_zero_for_a_perfect_ranking(self):
        spread = ErrorBins(
            right=torch.tensor([[5, 7, 0, 0, 0]]), wrong=torch.tensor([[0, 0, 1, 0, 4]])
        )
        assert excess_area_under_risk_coverage(spread).item() == pytest.approx(0.0, abs=1e-15)

    def test_is_never_below_zero_by_rounding(self, generator):
        right, wrong = (torch.randint(0, 50, (200, 20), generator=generator) for _ in range(2))
        nothing = torch.zeros_like(right)
        perfect = ErrorBins(
            right=torch.cat([right, nothing], dim=1), wrong=torch.cat([nothing, wrong], dim=1)
        )
        excess = excess_area_under_risk_coverage(perfect)
        assert excess.min().item() == 0.0
        assert excess.max().item() < 1e-14

    def test_approaches_the_limit_of_geifman(self):
        """Geifman et al. take r + (1 - r) log(1 - r) for the oracle of an error rate r."""
        right, wrong = 900_000, 100_000
        bins = ErrorBins(right=torch.tensor([[right]]), wrong=torch.tensor([[wrong]]))
        limit = 0.1 + 0.9 * math.log(0.9)
        assert excess_area_under_risk_coverage(bins).item() == pytest.approx(0.1 - limit, abs=1e-6)


class TestErrorDetectionAuroc:
    def test_matches_sklearn(self, bins):
        for case, area in enumerate(error_detection_auroc(bins).tolist()):
            groups = errors_of(bins.right[case], bins.wrong[case])
            errors = list(itertools.chain(*groups))
            scores = [index for index, group in enumerate(groups) for _ in group]
            assert area == pytest.approx(roc_auc_score(errors, scores), rel=1e-13)

    def test_is_one_for_a_perfect_ranking_and_zero_for_its_opposite(self):
        errors = [0, 0, 0, 1, 1]
        assert error_detection_auroc(one_bin_each(errors)).item() == 1.0
        assert error_detection_auroc(one_bin_each(errors[::-1])).item() == 0.0

    def test_is_a_half_if_uncertainty_says_nothing(self):
        bins = ErrorBins(right=torch.tensor([[0, 70]]), wrong=torch.tensor([[0, 30]]))
        assert error_detection_auroc(bins).item() == 0.5

    def test_is_nan_without_a_pair(self):
        some, none = torch.tensor([[2, 3]]), torch.zeros(1, 2).long()
        assert error_detection_auroc(ErrorBins(right=some, wrong=none)).isnan()
        assert error_detection_auroc(ErrorBins(right=none, wrong=some)).isnan()

    def test_more_pairs_than_int64_can_count(self):
        many = torch.tensor([[6_000_000_000, 0], [0, 6_000_000_000]])
        bins = ErrorBins(right=many, wrong=many.flip(0))
        assert error_detection_auroc(bins).tolist() == [1.0, 0.0]
        assert error_detection_auroc(bins.pooled()).item() == 0.5


class TestRiskCoverageCurve:
    def test_matches_the_definition(self, bins):
        coverage, risk = risk_coverage_curve(bins)
        assert coverage.shape == risk.shape == (3, 9)
        assert coverage.dtype == risk.dtype == torch.float64
        for case in range(3):
            groups = errors_of(bins.right[case], bins.wrong[case])
            total = sum(map(len, groups))
            for last in range(9):
                kept = list(itertools.chain(*groups[: last + 1]))
                assert coverage[case, last].item() == pytest.approx(len(kept) / total, rel=1e-15)
                if kept:
                    assert risk[case, last].item() == pytest.approx(np.mean(kept), rel=1e-15)
                else:
                    assert risk[case, last].isnan()

    def test_ends_at_the_error_rate(self, bins):
        coverage, risk = risk_coverage_curve(bins)
        assert coverage[:, -1].tolist() == [1.0] * 3
        rate = bins.wrong.sum(dim=1) / (bins.right + bins.wrong).sum(dim=1)
        torch.testing.assert_close(risk[:, -1], rate.double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("score", SCORES)
class TestEveryScore:
    def test_shape(self, bins, score):
        assert score(bins).shape == (3,)
        assert score(bins).dtype == torch.float64

    def test_case_without_valid_voxel_is_nan(self, bins, score):
        bins.right[1] = bins.wrong[1] = 0
        assert score(bins).isnan().tolist() == [False, True, False]
        assert not score(bins.pooled()).isnan().any()

    def test_empty_bins_change_nothing(self, bins, score):
        wider = ErrorBins(
            right=torch.stack([bins.right, torch.zeros_like(bins.right)], dim=2).flatten(1),
            wrong=torch.stack([bins.wrong, torch.zeros_like(bins.wrong)], dim=2).flatten(1),
        )
        torch.testing.assert_close(score(wider), score(bins), rtol=1e-13, atol=1e-16)

    def test_leaves_bins_untouched(self, bins, score):
        before = bins.right.clone(), bins.wrong.clone()
        score(bins)
        assert torch.equal(bins.right, before[0])
        assert torch.equal(bins.wrong, before[1])


@pytest.mark.parametrize("classes", [2, 5])
def test_bins_rank_like_sorting_all_voxels(generator, classes):
    """What the resolution costs, on 100,000 voxels of a calibrated forecast."""
    voxels = 100_000
    probs = torch.softmax(torch.randn(1, classes, voxels, generator=generator) * 4, dim=1)
    label = torch.multinomial(probs[0].T, 1, generator=generator).T[None]
    prediction, uncertainty = probs.argmax(dim=1, keepdim=True), entropy(probs)
    wrong = (prediction != label).flatten().numpy()
    order = uncertainty.flatten().argsort().numpy()

    bins = error_bins(uncertainty, prediction, label, maximum=math.log(classes))
    area = area_of(wrong[order])
    assert area_under_risk_coverage(bins).item() == pytest.approx(area, abs=2e-6)
    excess = area - area_of(np.sort(wrong))
    assert excess_area_under_risk_coverage(bins).item() == pytest.approx(excess, abs=2e-6)
    auroc = roc_auc_score(wrong, uncertainty.flatten().numpy())
    assert error_detection_auroc(bins).item() == pytest.approx(auroc, abs=2e-5)
