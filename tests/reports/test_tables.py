from __future__ import annotations

import math

import pytest

from medkd.reports import MethodCost, format_table
from medkd.reports.case_statistics import case_statistics
from medkd.reports.cost_table import cost_rows
from medkd.reports.number_texts import NO_VALUE, size_text
from medkd.reports.tables import (
    calibration_columns,
    main_columns,
    region_columns,
    uncertainty_columns,
)

NAN = float("nan")


def column(results, title):
    (found,) = (column for column in main_columns(results) if column.title == title)
    return found


def marks(results, title):
    return [cell.is_best for cell in column(results, title).cells]


class TestCaseStatistics:
    def test_one_case_has_no_spread(self):
        statistics = case_statistics([0.5])
        assert statistics.mean == 0.5
        assert math.isnan(statistics.std)

    def test_no_case_has_no_mean(self):
        statistics = case_statistics([NAN, NAN])
        assert math.isnan(statistics.mean)
        assert statistics.num_cases == 0

    def test_spread_divides_by_one_less_than_the_cases(self):
        assert case_statistics([1.0, 3.0, NAN]).std == pytest.approx(math.sqrt(2))


class TestBestMark:
    def test_follows_the_direction(self, make_method, make_results):
        results = make_results(
            [
                make_method(
                    "low", dice=[0.1] * 3, ece=[0.1] * 3, seconds=[1.0] * 3, num_parameters=5
                ),
                make_method(
                    "high", dice=[0.9] * 3, ece=[0.9] * 3, seconds=[9.0] * 3, num_parameters=7
                ),
            ]
        )
        assert marks(results, "Dice") == [False, True]
        assert marks(results, "ECE") == [True, False]
        assert marks(results, "parameters") == [True, False]
        assert marks(results, "seconds per case") == [True, False]

    def test_equal_figures_are_marked_alike(self, make_method, make_results):
        results = make_results(
            [
                make_method("a", dice=[0.80001] * 3),
                make_method("b", dice=[0.80002] * 3),
                make_method("c", dice=[0.7] * 3),
            ]
        )
        assert marks(results, "Dice") == [True, True, False]

    def test_is_absent_where_nothing_differs(self, make_method, make_results):
        results = make_results([make_method("a"), make_method("b")])
        assert not any(marks(results, "Dice"))
        assert not any(marks(make_results([make_method("a")]), "Dice"))

    def test_skips_what_is_not_a_number(self, make_method, make_results):
        results = make_results(
            [
                make_method("none", nll=[NAN] * 3),
                make_method("low", nll=[0.1] * 3),
                make_method("high", nll=[0.2] * 3),
            ]
        )
        assert marks(results, "NLL") == [False, True, False]
        assert column(results, "NLL").cells[0].mean == NO_VALUE


class TestColumns:
    def test_arrows_point_to_better(self, make_results):
        arrows = {column.title: column.arrow for column in main_columns(make_results())}
        assert arrows == {
            "Dice": "↑",
            "MCC": "↑",
            "ECE": "↓",
            "Brier": "↓",
            "NLL": "↓",
            "parameters": "↓",
            "seconds per case": "↓",
        }

    def test_regions_have_their_own_scores(self, make_method, make_results):
        results = make_results([make_method("a", ece=[0.1] * 3, ece_band=[0.25] * 3)])
        assert region_columns(results, "field of view")[0].cells[0].mean == "0.1000"
        assert region_columns(results, "band")[0].cells[0].mean == "0.2500"

    def test_a_region_without_scores_has_no_column(self, make_results):
        results = make_results(regions={"volume": "", "liver": "_liver"})
        assert region_columns(results, "liver") == []

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0.00421, "0.00421"), (0.5, "0.500"), (1234.5, "1,234")]
    )
    def test_seconds_have_three_figures(self, make_method, make_results, seconds, text):
        results = make_results([make_method("a", seconds=[seconds] * 3)])
        assert column(results, "seconds per case").cells[0].mean == text

    def test_calibration_and_uncertainty_show_what_there_is(self, make_method, make_results):
        more = ["mce", "error_auroc_mutual_information"]
        results = make_results(
            [make_method("a", more=more, summary={"failure_auroc": 0.75}), make_method("b")]
        )
        titles = [column.title for column in calibration_columns(results)]
        assert titles == ["ECE", "MCE", "Brier", "NLL"]
        first, last = uncertainty_columns(results)
        assert (first.title, last.title) == ("Error AUROC, MI", "Failure AUROC")
        assert first.cells[1].mean == NO_VALUE
        assert (last.cells[0].mean, last.cells[0].interval) == ("0.7500", "")

    def test_means_have_their_interval(self, make_method, make_results):
        results = make_results([make_method("a", dice=[0.25, 0.25, 0.75])])
        cell = column(results, "Dice").cells[0]
        assert (cell.mean, cell.interval) == ("0.4167", "0.2500–0.7500")  # noqa: RUF001


class TestCostTable:
    def test_a_dash_stands_for_what_was_not_measured(self, make_method, make_results):
        cost = MethodCost(None, 3 * 2**30, 90.0, num_passes=4)
        results = make_results(
            [make_method("a", cost=cost, seconds=[2.0] * 3), make_method("b", seconds=[NAN] * 3)]
        )
        assert cost_rows(results) == [
            ("1,000", "4", NO_VALUE, "2", "3 GiB", "2 min"),
            ("1,000", NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE),
        ]

    @pytest.mark.parametrize(
        ("number", "step", "unit", "text"),
        [
            (0, 1000, "", "0"),
            (999.6, 1000, "", "1000"),
            (5e13, 1000, "", "50 T"),
            (100, 1024, "iB", "100 B"),
            (1023 * 1024, 1024, "iB", "1023 KiB"),
        ],
    )
    def test_sizes_have_a_prefix(self, number, step, unit, text):
        assert size_text(number, step, unit) == text


class TestFormatTable:
    def test_eight_methods_fit_eighty_columns(self, eight_methods, make_results):
        lines = format_table(make_results(eight_methods)).splitlines()[1:]
        assert all(len(line) <= 80 for line in lines)
        text = " ".join(line[:14].strip() for line in lines)
        assert "deep ensemble temperature" in text

    def test_fits_eighty_columns_and_is_aligned(self, make_method, make_results):
        results = make_results(
            [
                make_method("single", title="single network", num_parameters=486_242),
                make_method(
                    "deep_ensemble", seed=1, title="deep ensemble", num_parameters=2_431_210
                ),
            ]
        )
        head, blank, titles, *rows = format_table(results).splitlines()
        assert head.startswith("EYES, test split, 3 cases, field of view: mean ± standard")
        assert blank == ""
        assert len(rows) == 2 * 2
        assert all(len(line) <= 80 for line in (titles, *rows))
        # A point stands below a point in every line of means.
        points = [[i for i, letter in enumerate(row) if letter == "."] for row in rows[::2]]
        assert points[0] == points[1]

    def test_one_case_has_no_line_of_spreads(self, make_method, make_results):
        results = make_results([make_method("student", case_ids=["only"])])
        assert "±" not in format_table(results)
