from __future__ import annotations

import csv
import io
import json
import os
import re
from html import escape

import pytest

from medkd.reports import write_comparison
from medkd.reports.comparison_groups import shift_series
from medkd.reports.result_files import cases_csv, metrics_json
from medkd.reports.stored_report import read_runs
from medkd.reports.write_comparison import _figure


def store(results, folder):
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(metrics_json(results), encoding="utf-8")
    (folder / "cases.csv").write_text(cases_csv(results), encoding="utf-8")
    return folder


@pytest.fixture
def new_run(make_method, make_results, tmp_path):
    """A run with a report; ``seed`` changes its scores."""

    def _new_run(name, *, seed=0, case_ids=("a", "b", "c"), methods=("deep_ensemble", "student")):
        made = [
            make_method(method, seed=seed + i, case_ids=case_ids, more=["aurc"])
            for i, method in enumerate(methods)
        ]
        store(make_results(made), tmp_path / name / "report")
        return tmp_path / name

    return _new_run


@pytest.fixture
def shifted_run(new_run, make_results, make_method):
    run = new_run("shifted")
    methods = [make_method(name, seed=9, more=["aurc"]) for name in ("deep_ensemble", "student")]
    for kind in ("blur", "noise"):
        for strength in (1, 2):
            results = make_results(methods, shift=(kind, strength))
            object.__setattr__(results, "dataset", f"EYES {kind} {strength}")
            store(results, run / "evaluation" / f"{kind}{strength}")
    return run


def text_of(page):
    return page.read_text(encoding="utf-8")


def rows_of(folder):
    return list(csv.DictReader(io.StringIO((folder / "comparison.csv").read_text())))


class TestReadRuns:
    def test_gives_back_what_was_written(self, full_results, tmp_path):
        folder = store(full_results, tmp_path / "run" / "report")
        for given in (folder, tmp_path / "run"):
            ((report,),) = read_runs([given]).values()
            assert report.run == "run"
            assert report.dataset == full_results.dataset
            assert report.shift is None
            for stored, method in zip(report.methods, full_results.methods, strict=True):
                assert stored.title == method.title
                assert stored.num_parameters == method.num_parameters
                assert stored.seconds_per_case == method.seconds_per_case
                for metric in full_results.metrics:
                    assert stored.values(metric) == pytest.approx(
                        method.values(metric), nan_ok=True
                    )

    def test_names_tell_runs_apart(self, new_run):
        runs = [new_run("a/seed"), new_run("b/seed"), new_run("b/other")]
        reports = [group[0] for group in read_runs(runs).values()]
        assert [report.run for report in reports] == ["a/seed", "b/seed", "b/other"]

    def test_takes_the_newest_of_two_reports_on_the_same_images(self, new_run):
        run = new_run("run")
        other = new_run("other", seed=5) / "report"
        target = run / "evaluation" / "EYES_test"
        target.parent.mkdir()
        other.rename(target)
        for age, folder in ((100, target), (200, run / "report")):
            os.utime(folder / "metrics.json", (age, age))
        ((report,),) = read_runs([run]).values()
        assert report.written == 200

    def test_reads_a_report_without_titles(self, new_run):
        run = new_run("run")
        file = run / "report" / "metrics.json"
        content = json.loads(file.read_text())
        for entry in content["methods"].values():
            del entry["title"]
        file.write_text(json.dumps(content))
        ((report,),) = read_runs([run]).values()
        assert [method.title for method in report.methods] == ["deep ensemble", "student"]

    def test_rejects_a_folder_that_is_no_run(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="to be the folder of a run or of a report"):
            read_runs([tmp_path])

    def test_rejects_a_run_given_twice(self, new_run):
        run = new_run("run")
        with pytest.raises(ValueError, match="Expected distinct runs, but got"):
            read_runs([run, run / "." / "report" / ".."])

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "{}", '{"dataset": "a", "split": "b", "methods": {}}', "\xff"]
    )
    def test_rejects_damaged_numbers(self, new_run, content):
        run = new_run("run")
        (run / "report" / "metrics.json").write_bytes(content.encode("latin-1"))
        with pytest.raises(ValueError, match=r"metrics.json and cases.csv beside it to be as"):
            read_runs([run])

    @pytest.mark.parametrize("content", ["", "case_id,method\n", "a,b\n1,2\n"])
    def test_rejects_damaged_cases(self, new_run, content):
        run = new_run("run")
        (run / "report" / "cases.csv").write_text(content)
        with pytest.raises(ValueError, match=r"metrics.json and cases.csv beside it to be as"):
            read_runs([run])

    def test_rejects_numbers_without_cases(self, new_run):
        run = new_run("run")
        (run / "report" / "cases.csv").unlink()
        with pytest.raises(FileNotFoundError, match=r"cases\.csv"):
            read_runs([run])


class TestWriteComparison:
    def test_two_runs_on_the_same_cases(self, new_run, tmp_path):
        runs = [new_run("one"), new_run("two", seed=5)]
        page = write_comparison(runs, tmp_path / "out")
        assert {path.name for path in page.parent.iterdir()} == {"index.html", "comparison.csv"}
        assert "two minus one" in text_of(page)
        assert "With 3 cases no p below 0.05 is possible" in text_of(page)
        rows = rows_of(tmp_path / "out")
        assert [(row["run"], row["method"]) for row in rows] == [
            ("one", "deep_ensemble"),
            ("one", "student"),
            ("two", "deep_ensemble"),
            ("two", "student"),
        ]
        content = json.loads((runs[0] / "report" / "metrics.json").read_text())
        entry = content["methods"]["student"]["dice"]
        assert float(rows[1]["dice_mean"]) == pytest.approx(entry["mean"])
        assert float(rows[1]["dice_low"]) == pytest.approx(entry["ci95"][0])

    def test_the_baseline_can_be_chosen(self, new_run, tmp_path):
        runs = [new_run("one"), new_run("two", seed=5)]
        page = write_comparison(runs, tmp_path / "out", baseline=runs[1])
        assert "one minus two" in text_of(page)

    def test_other_cases_are_not_tested(self, new_run, tmp_path):
        runs = [new_run("one"), new_run("two", case_ids=("a", "b", "x"))]
        page = write_comparison(runs, tmp_path / "out")
        assert "two and one are on different cases: no paired test is made." in text_of(page)
        assert "Wilcoxon" not in text_of(page)

    def test_no_method_in_common(self, new_run, tmp_path):
        runs = [new_run("one"), new_run("two", methods=("single",))]
        assert "two and one have no method in common." in text_of(
            write_comparison(runs, tmp_path / "out")
        )

    def test_draws_degradation_under_shift(self, shifted_run, tmp_path):
        page = write_comparison([shifted_run], tmp_path / "out")
        assert "How each predictor degrades" in text_of(page)
        assert "EYES, blur 1, 2 (test, 3 cases)" in text_of(page)
        assert [path.name for path in (tmp_path / "out").glob("*.png")] == [
            "figure_1_shifted_eyes_test_under_shift.png"
        ]
        shifts = {(row["shift_kind"], row["shift_strength"]) for row in rows_of(tmp_path / "out")}
        assert shifts == {("", "0"), ("blur", "1"), ("blur", "2"), ("noise", "1"), ("noise", "2")}

    def test_strength_0_are_the_images_as_they_are(self, shifted_run):
        (reports,) = read_runs([shifted_run]).values()
        (kinds,) = shift_series(reports).values()
        assert {kind: sorted(strengths) for kind, strengths in kinds.items()} == {
            "blur": [0, 1, 2],
            "noise": [0, 1, 2],
        }
        assert kinds["blur"][0] is kinds["noise"][0]
        assert kinds["blur"][0].shift is None

    def test_draws_one_run_on_several_data_sets(self, new_run, make_results, make_method, tmp_path):
        run = new_run("run")
        results = make_results([make_method("student", case_ids=["z"])])
        object.__setattr__(results, "dataset", "OTHER <EYES>")
        store(results, run / "evaluation" / "other")
        page = write_comparison([run], tmp_path / "out")
        assert "run: from data set to data set" in text_of(page)
        assert "OTHER &lt;EYES&gt;, test split" in text_of(page)
        assert "<EYES>" not in text_of(page)

    def test_removes_figures_of_an_earlier_comparison(self, shifted_run, new_run, tmp_path):
        write_comparison([shifted_run], tmp_path / "out")
        write_comparison([new_run("plain")], tmp_path / "out")
        assert list((tmp_path / "out").glob("*.png")) == []

    def test_rejects_a_baseline_that_is_no_run(self, new_run, tmp_path):
        with pytest.raises(ValueError, match="Expected `baseline` to be one of the runs"):
            write_comparison([new_run("one")], tmp_path / "out", baseline=tmp_path)

    def test_rejects_to_write_over_a_report(self, new_run):
        run = new_run("one")
        with pytest.raises(ValueError, match=r"a folder of its own, but .* holds a report"):
            write_comparison([run], run / "report")

    def test_rejects_no_run(self, tmp_path):
        with pytest.raises(ValueError, match="Expected `runs` to have at least one run"):
            write_comparison([], tmp_path)


def test_names_are_shown_as_they_are(make_method, make_results, strange_names, tmp_path):
    runs, tags = [], "<script>x</script>"
    for name in (*strange_names, "<b>"):
        results = make_results([make_method("deep_ensemble"), make_method("student", seed=1)])
        object.__setattr__(results, "dataset", f"{name}{tags}")
        runs.append(store(results, tmp_path / "runs" / name / "report").parent)
    page = text_of(write_comparison(runs, tmp_path / "comparison"))
    assert not re.search("<(script|b)>", page)
    assert all(escape(f"{name}{tags}") in page for name in strange_names)


def test_a_figure_of_a_long_name_has_a_file():
    figure = _figure(0, f"{'x' * 255}: {'y' * 200} (test) under shift", "", b"")
    assert len(figure.file_name) < 120
