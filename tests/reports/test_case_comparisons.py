from __future__ import annotations

import itertools
import math
import random
import statistics

import numpy as np
import pytest
from scipy import stats

from medkd.reports.comparison_words import chance_statement
from medkd.reports.comparisons import compare_methods
from medkd.reports.confidence_interval import bootstrap_interval
from medkd.reports.paired_test import holm_correction, lowest_p_value, signed_rank_p_value

NAN = float("nan")


class TestBootstrapInterval:
    @pytest.mark.parametrize("num_cases", [5, 30])
    def test_matches_a_plain_loop(self, num_cases):
        values = np.random.default_rng(1).gamma(2.0, size=num_cases).tolist()
        draw = random.Random(2)
        means = [statistics.fmean(draw.choices(values, k=num_cases)) for _ in range(9999)]
        low, high = np.percentile(means, [2.5, 97.5])
        interval = bootstrap_interval(values)
        tolerance = 0.03 * (high - low)  # two draws of 9,999
        assert interval.low == pytest.approx(low, abs=tolerance)
        assert interval.high == pytest.approx(high, abs=tolerance)

    def test_covers_the_mean_of_many_cases_as_often_as_it_says(self):
        samples = np.random.default_rng(0).normal(size=(150, 40))
        intervals = [bootstrap_interval(sample) for sample in samples]
        share = np.mean([interval.low <= 0 <= interval.high for interval in intervals])
        assert 0.88 <= share <= 0.99

    def test_two_values_are_its_ends(self):
        interval = bootstrap_interval([0.25, 0.75])
        assert (interval.low, interval.high) == (0.25, 0.75)

    def test_leaves_out_nan_and_is_the_same_again(self):
        assert bootstrap_interval([0.1, NAN, 0.4, 0.9]) == bootstrap_interval([0.1, 0.4, 0.9])

    @pytest.mark.parametrize("values", [[], [0.5], [0.5, NAN], [0.5, math.inf]])
    def test_none_without_two_finite_cases(self, values):
        assert bootstrap_interval(values) is None

    def test_draws_in_blocks(self, monkeypatch):
        values = list(range(10))
        whole = bootstrap_interval(values)
        monkeypatch.setattr("medkd.reports.confidence_interval._BLOCK", 1000)
        assert bootstrap_interval([*values, NAN]) == whole


class TestSignedRank:
    @pytest.mark.parametrize("num_cases", [1, 2, 7, 12, 40])
    def test_matches_scipy_without_ties(self, num_cases):
        differences = np.random.default_rng(num_cases).normal(0.3, size=num_cases)
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert signed_rank_p_value(differences) == pytest.approx(expected, rel=1e-12)

    def test_matches_every_way_to_set_the_signs_with_ties(self):
        differences = np.array([1.0, -1.0, 2.0, 2.0, -3.0, 5.0, 5.0])
        ranks = stats.rankdata(np.abs(differences))
        observed = ranks[differences > 0].sum()
        sums = np.array(
            [ranks[list(signs)].sum() for signs in itertools.product([False, True], repeat=7)]
        )
        tails = np.mean(sums <= observed), np.mean(sums >= observed)
        assert signed_rank_p_value(differences) == pytest.approx(min(1.0, 2 * min(tails)))

    def test_many_cases_are_close_to_the_exact_test(self):
        differences = np.random.default_rng(0).normal(0.15, size=201)
        expected = stats.wilcoxon(differences, method="exact").pvalue
        assert signed_rank_p_value(differences) == pytest.approx(expected, rel=0.05)

    def test_zeros_and_nan_have_no_sign(self):
        known = [0.5, -0.2, 0.7, 0.1]
        assert signed_rank_p_value([0.0, NAN, *known]) == signed_rank_p_value(known)

    def test_extremes(self):
        assert signed_rank_p_value([0.0, 0.0]) == 1.0
        assert math.isnan(signed_rank_p_value([NAN]))
        assert signed_rank_p_value([1.0, -1.0]) == 1.0

    @pytest.mark.parametrize("num_cases", range(1, 9))
    def test_the_lowest_is_reached_when_all_agree(self, num_cases):
        assert signed_rank_p_value(range(1, num_cases + 1)) == lowest_p_value(num_cases)


class TestHolm:
    def test_matches_the_definition(self):
        p_values = np.random.default_rng(0).uniform(size=9)
        corrected = holm_correction(p_values.tolist())
        order = np.argsort(p_values)
        for place, index in enumerate(order):
            steps = [(9 - j) * p_values[order[j]] for j in range(place + 1)]
            assert corrected[index] == pytest.approx(min(1.0, max(steps)))

    def test_one_is_left_as_it_is_and_nan_does_not_count(self):
        corrected = holm_correction([NAN, 0.03])
        assert math.isnan(corrected[0])
        assert corrected[1] == 0.03
        assert holm_correction([]) == []


class TestCompareMethods:
    def test_pairs_the_cases(self, make_method, make_results):
        ensemble = make_method("deep_ensemble", dice=[0.5, 0.6, 0.7])
        student = make_method("student", dice=[0.75, 0.6, NAN])
        (comparison,) = compare_methods(make_results([student, ensemble]))["dice"]
        assert comparison.method == "student"
        assert comparison.difference.mean == pytest.approx(0.125)
        assert comparison.difference.num_cases == 2
        assert comparison.interval.low == pytest.approx(0.0)
        assert comparison.interval.high == pytest.approx(0.25)

    def test_leaves_out_what_cannot_be_compared(self, make_method, make_results):
        methods = [make_method("deep_ensemble", dice=[NAN] * 3), make_method("student")]
        assert list(compare_methods(make_results(methods))) == ["ece", "nll"]
        assert compare_methods(make_results(methods[1:])) == {}

    def test_corrects_for_the_methods_of_one_metric(self, eight_methods, make_results):
        for comparisons in compare_methods(make_results(eight_methods)).values():
            assert len(comparisons) == 7
            p_values = [comparison.p_value for comparison in comparisons]
            corrected = [comparison.corrected_p_value for comparison in comparisons]
            assert corrected == holm_correction(p_values)


class TestChanceStatement:
    def statement(self, make_method, make_results, num_cases, num_methods):
        case_ids = [str(i) for i in range(num_cases)]
        names = ["deep_ensemble", *(f"method {i}" for i in range(num_methods))]
        methods = [make_method(name, seed=i, case_ids=case_ids) for i, name in enumerate(names)]
        return chance_statement(compare_methods(make_results(methods)))

    def test_five_cases_are_too_few(self, make_method, make_results):
        statement = self.statement(make_method, make_results, 5, 1)
        assert "With 5 cases no p below 0.05 is possible" in statement

    def test_eight_cases_are_too_few_for_seven_methods(self, make_method, make_results):
        statement = self.statement(make_method, make_results, 8, 7)
        assert "With 8 cases and 7 methods no corrected p below 0.05 is possible" in statement
        assert "the lowest is 0.055" in statement

    def test_six_cases_are_enough_for_one(self, make_method, make_results):
        assert "possible" not in self.statement(make_method, make_results, 6, 1)
