from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score

from medkd.functional import failure_aurc, failure_auroc, rank_correlation

CASES = 23


@pytest.fixture(params=[False, True], ids=["distinct", "ties"])
def cases(request, generator):
    """Uncertainty and quality of each case, which have to do with each other."""
    quality = torch.rand(CASES, generator=generator, dtype=torch.float64)
    noise = torch.rand(CASES, generator=generator, dtype=torch.float64)
    uncertainty = 1.5 - quality + noise
    if request.param:
        return (uncertainty * 5).round() / 5, (quality * 7).round() / 7
    return uncertainty, quality


class TestFailureAuroc:
    def test_matches_sklearn(self, cases):
        uncertainty, quality = cases
        area = failure_auroc(uncertainty, quality, threshold=0.5)
        expected = roc_auc_score((quality < 0.5).numpy(), uncertainty.numpy())
        assert area.item() == pytest.approx(expected, rel=1e-14)
        assert area.shape == ()
        assert area.dtype == torch.float64

    def test_is_one_for_a_perfect_ranking_and_a_half_for_none(self):
        quality = torch.tensor([0.9, 0.2, 0.8, 0.4])
        assert failure_auroc(-quality, quality, threshold=0.5).item() == 1.0
        assert failure_auroc(quality, quality, threshold=0.5).item() == 0.0
        assert failure_auroc(torch.ones(4), quality, threshold=0.5).item() == 0.5

    def test_is_nan_if_none_or_all_fail(self, cases):
        assert failure_auroc(*cases, threshold=0.0).isnan()
        assert failure_auroc(*cases, threshold=1.1).isnan()

    def test_quality_at_the_threshold_is_no_failure(self):
        quality = torch.tensor([0.7, 0.6])  # 0.7 in float32 is less than 0.7
        assert failure_auroc(torch.tensor([0.1, 0.2]), quality, threshold=0.7).item() == 1.0


class TestFailureAurc:
    def test_matches_the_definition(self, generator):
        uncertainty = torch.randperm(CASES, generator=generator).double()
        quality = torch.rand(CASES, generator=generator, dtype=torch.float64)
        risk = (1 - quality).numpy()[uncertainty.argsort().numpy()]
        expected = np.mean(np.cumsum(risk) / np.arange(1, CASES + 1))
        assert failure_aurc(uncertainty, quality).item() == pytest.approx(expected, rel=1e-13)

    def test_ties_are_the_mean_over_all_orders(self):
        uncertainty = torch.tensor([0.2, 0.1, 0.2, 0.1, 0.2, 0.3])
        quality = torch.tensor([0.9, 0.5, 0.1, 0.8, 0.7, 0.3], dtype=torch.float64)
        areas = []
        for order in itertools.permutations(range(6)):
            ranked = uncertainty[list(order)]
            if torch.equal(ranked, ranked.sort().values):
                risk = 1 - quality[list(order)].numpy()
                areas.append(np.mean(np.cumsum(risk) / np.arange(1, 7)))
        assert len(areas) == 12
        assert failure_aurc(uncertainty, quality).item() == pytest.approx(np.mean(areas), rel=1e-13)

    def test_is_the_mean_risk_if_uncertainty_says_nothing(self, cases):
        _, quality = cases
        area = failure_aurc(torch.ones(CASES), quality)
        assert area.item() == pytest.approx(1 - quality.mean().item(), rel=1e-14)

    def test_is_zero_for_perfect_quality(self):
        assert failure_aurc(torch.tensor([0.1, 0.3]), torch.ones(2)).item() == 0.0


class TestRankCorrelation:
    def test_matches_scipy(self, cases):
        expected = stats.spearmanr(*(part.numpy() for part in cases)).statistic
        assert rank_correlation(*cases).item() == pytest.approx(expected, rel=1e-12)

    def test_sees_the_order_alone(self, cases):
        first, second = cases
        assert rank_correlation(first, first.exp()).item() == pytest.approx(1.0, rel=1e-15)
        assert rank_correlation(first, -first).item() == pytest.approx(-1.0, rel=1e-15)
        torch.testing.assert_close(rank_correlation(first, second), rank_correlation(second, first))

    def test_is_nan_without_spread(self):
        assert rank_correlation(torch.ones(4), torch.rand(4)).isnan()
        assert rank_correlation(torch.ones(1), torch.ones(1)).isnan()


def auroc_at_a_half(uncertainty, quality):
    return failure_auroc(uncertainty, quality, threshold=0.5)


@pytest.mark.parametrize("score", [auroc_at_a_half, failure_aurc, rank_correlation])
class TestEveryScore:
    def test_cases_without_a_number_are_left_out(self, cases, score):
        uncertainty, quality = (part.clone() for part in cases)
        uncertainty[2] = quality[5] = quality[6] = math.nan
        kept = [index for index in range(CASES) if index not in {2, 5, 6}]
        assert torch.equal(score(uncertainty, quality), score(cases[0][kept], cases[1][kept]))

    def test_no_case_at_all_is_nan(self, score):
        assert score(torch.zeros(0), torch.zeros(0)).isnan()
        assert score(torch.full((2,), math.nan), torch.ones(2)).isnan()

    def test_order_of_the_cases_changes_nothing(self, cases, score, generator):
        order = torch.randperm(CASES, generator=generator)
        torch.testing.assert_close(
            score(*(part[order] for part in cases)), score(*cases), rtol=1e-13, atol=0
        )

    def test_leaves_inputs_untouched(self, cases, score):
        before = [part.clone() for part in cases]
        score(*cases)
        for part, old in zip(cases, before, strict=True):
            assert torch.equal(part, old)

    def test_rejects_other_lengths(self, cases, score):
        with pytest.raises(ValueError, match=r"of the shape of .*\(23,\), but got shape \(22,\)"):
            score(cases[0], cases[1][1:])

    def test_rejects_columns(self, cases, score):
        with pytest.raises(ValueError, match=r"of shape \(cases,\), but got shape \(23, 1\)"):
            score(*(part.unsqueeze(1) for part in cases))

    def test_rejects_integers(self, cases, score):
        with pytest.raises(TypeError, match=r"of a floating-point dtype, but got torch\.int64"):
            score(cases[0], cases[1].long())
