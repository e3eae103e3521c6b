from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from medkd.reports import report_figures, write_report
from medkd.reports.result_files import cases_csv, metrics_csv, metrics_json

FIGURES = {
    "case_1_best.png",
    "case_2_worst.png",
    "dice_by_case.png",
    "reliability_band.png",
    "reliability_field_of_view.png",
    "risk_coverage.png",
    "training_curves.png",
}
NUMBERS = {"cases.csv", "metrics.csv", "metrics.json"}


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


class TestWriteReport:
    def test_writes_page_figures_and_numbers_and_nothing_else(self, report_dir):
        assert {p.name for p in report_dir.iterdir()} == FIGURES | NUMBERS | {"index.html"}

    def test_figures_are_opaque_pngs_of_full_width(self, report_dir):
        for name in FIGURES:
            with Image.open(report_dir / name) as figure:
                assert (figure.format, figure.mode) == ("PNG", "RGB")
                assert figure.width == 1840

    def test_is_the_same_when_written_again(self, full_results, report_dir, tmp_path):
        write_report(full_results, tmp_path)
        for path in report_dir.iterdir():
            assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name

    def test_writes_nothing_when_a_figure_fails(self, make_results, tmp_path, monkeypatch):
        def fail(*_):
            raise MemoryError("no room to draw")

        monkeypatch.setattr(report_figures, "plot_reliability", fail)
        with pytest.raises(MemoryError, match="no room to draw"):
            write_report(make_results(), tmp_path / "report")
        assert not (tmp_path / "report").exists()

    def test_one_method_and_case_without_curves_or_pictures(
        self, make_method, make_results, tmp_path
    ):
        method = make_method("student", case_ids=["only"])
        page = write_report(make_results([method]), tmp_path)
        assert page == tmp_path / "index.html"
        assert "This is one case" in page.read_text(encoding="utf-8")
        assert "±" not in page.read_text(encoding="utf-8")


class TestMetricsJson:
    def test_has_the_promised_form(self, full_results):
        content = json.loads(metrics_json(full_results))
        assert list(content) == ["dataset", "split", "num_cases", "methods", "comparisons"]
        assert (content["split"], content["num_cases"]) == ("test", 3)
        assert list(content["methods"]) == ["single", "deep_ensemble", "student"]
        for entries in content["methods"].values():
            more = {"title", "summary", "cost"}
            assert set(entries) == {*full_results.metrics, "parameters", "seconds_per_case", *more}
            assert isinstance(entries.pop("parameters"), int)
            kinds = [list(entry) for name, entry in entries.items() if name not in more]
            assert all(kind == ["mean", "std", "ci95"] for kind in kinds)

    def test_has_summary_cost_and_comparisons(self, full_results):
        content = json.loads(metrics_json(full_results))
        student, single = content["methods"]["student"], content["methods"]["single"]
        assert student["summary"] == {"failure_auroc": 0.75, "failure_aurc": None}
        assert student["cost"] == {
            "multiply_adds": 2_000_000_000,
            "peak_memory_bytes": None,
            "training_seconds": 5400.0,
            "num_passes": 1,
        }
        assert (single["summary"], single["cost"]) == ({}, None)
        assert content["comparisons"]["reference"] == "deep_ensemble"
        dice = content["comparisons"]["methods"]["single"]["dice"]
        assert dice["num_cases"] == 2  # one case has no Dice
        assert dice["difference"] == pytest.approx((0.7 - 0.8 + 0.5 - 0.6) / 2)
        assert dice["p_value"] == 0.5
        assert dice["p_value_holm"] == 1.0

    def test_names_the_shift(self, make_results):
        content = json.loads(metrics_json(make_results(shift=("blur", 3))))
        assert content["shift"] == {"kind": "blur", "strength": 3}

    def test_a_lone_method_has_no_comparisons(self, make_method, make_results):
        content = json.loads(metrics_json(make_results([make_method("student")])))
        assert content["comparisons"] is None

    def test_matches_numpy(self, full_results):
        content = json.loads(metrics_json(full_results))["methods"]
        for method in full_results.methods:
            for metric in full_results.metrics:
                values = [row.get(metric, np.nan) for row in method.scores.values()]
                entry = content[method.name][metric]
                if np.isnan(values).all():
                    assert entry == {"mean": None, "std": None, "ci95": None}
                    continue
                assert entry["mean"] == pytest.approx(np.nanmean(values))
                assert entry["std"] == pytest.approx(np.nanstd(values, ddof=1))
                assert entry["ci95"][0] <= entry["mean"] <= entry["ci95"][1]
            seconds = list(method.seconds_per_case.values())
            assert content[method.name]["seconds_per_case"]["mean"] == pytest.approx(
                np.mean(seconds)
            )

    def test_null_stands_for_what_is_not_a_number(self, make_method, make_results):
        method = make_method("student", dice=[np.nan] * 3, ece=[0.5, np.inf, 0.5])
        text = metrics_json(make_results([method]))
        entries = json.loads(text, parse_constant=pytest.fail)["methods"]["student"]
        assert entries["dice"] == {"mean": None, "std": None, "ci95": None}
        assert entries["ece"] == {"mean": None, "std": None, "ci95": None}

    def test_one_case_has_a_mean_and_no_spread(self, make_method, make_results):
        method = make_method("student", case_ids=["only"], dice=[0.5])
        content = json.loads(metrics_json(make_results([method])))
        assert content["methods"]["student"]["dice"] == {
            "mean": 0.5,
            "std": None,
            "ci95": None,
        }


class TestCsv:
    def test_a_row_a_method_with_the_numbers_of_the_json(self, full_results):
        rows = read_csv(metrics_csv(full_results))
        content = json.loads(metrics_json(full_results))["methods"]
        assert [row["method"] for row in rows] == list(content)
        for row in rows:
            assert int(row["num_cases"]) == 3
            assert int(row["parameters"]) == content[row["method"]]["parameters"]
            for name in ("seconds_per_case", *full_results.metrics):
                entry = content[row["method"]][name]
                low, high = entry["ci95"] or (None, None)
                parts = {"mean": entry["mean"], "std": entry["std"], "low": low, "high": high}
                for part, value in parts.items():
                    assert row[f"{name}_{part}"] == ("" if value is None else str(value))
        assert [row["num_passes"] for row in rows] == ["", "", "1"]
        assert [row["failure_auroc"] for row in rows] == ["", "", "0.75"]

    def test_a_row_a_case_and_method(self, full_results):
        rows = read_csv(cases_csv(full_results))
        assert len(rows) == 3 * 3
        assert list(rows[0]) == ["case_id", "method", "seconds", *full_results.metrics]
        for row in rows:
            method = full_results.method(row["method"])
            assert float(row["seconds"]) == method.seconds_per_case[row["case_id"]]
            assert float(row["ece_band"]) == method.scores[row["case_id"]]["ece_band"]

    def test_nan_is_an_empty_field(self, full_results):
        (row,) = (
            row
            for row in read_csv(cases_csv(full_results))
            if (row["case_id"], row["method"]) == ("b", "single")
        )
        assert row["dice"] == ""
