"""Compare several runs, or one run on several data sets, on one page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError
from medkd.reports.case_statistics import case_statistics
from medkd.reports.comparison_groups import data_sets, shift_series
from medkd.reports.comparison_page import comparison_page
from medkd.reports.confidence_interval import bootstrap_interval
from medkd.reports.report_figures import ReportFigure
from medkd.reports.report_files import write_files
from medkd.reports.result_files import csv_text, finite_or_none
from medkd.reports.shift_figure import plot_data_sets, plot_shift, shown_metrics
from medkd.reports.stored_report import read_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.reports.evaluation_results import MethodResult
    from medkd.reports.stored_report import StoredReport

__all__ = ["comparison_csv", "write_comparison"]

_SHIFT_CAPTION = (
    "Mean over cases as the images get worse. A predictor that may be trusted grows unsure as it "
    "grows wrong: its Dice falls, but ECE and AURC stay low. The numbers are in comparison.csv."
)
_LONGEST_NAME = 100  # characters of a figure's title in the name of its file
_DATA_SETS_CAPTION = "Mean over cases with its 95% bootstrap interval, on every data set."


def write_comparison(
    runs: Sequence[str | Path], output_dir: str | Path, *, baseline: str | Path | None = None
) -> Path:
    """Read the reports of runs and write one page about all of them.

    ``index.html`` needs no other file; ``comparison.csv`` and the PNGs beside it are for use
    elsewhere. Runs on the same cases are tested against the baseline, case by case and method by
    method. Of a run with reports under shift, the page shows how every method degrades.

    Args:
        runs: each a run's folder, or the folder of one report.
        output_dir: the folder; it is made if missing, and files of the same names are replaced.
        baseline: one of the runs; the first by default.

    Returns:
        Path of ``index.html``.

    Raises:
        FileNotFoundError: if a folder holds no report.
        OSError: if a file cannot be written; it names the file.
        ValueError: if there is no run, one is given twice, the baseline is none of them, a file is
            not what a report writes, or the output is the folder of a report.
    """
    if not runs:
        raise InvalidValueError("Expected `runs` to have at least one run, but got none.")
    by_folder = read_runs(runs)
    chosen = next(iter(by_folder)) if baseline is None else _resolved(baseline)
    if chosen not in by_folder:
        raise InvalidValueError(f"Expected `baseline` to be one of the runs, but got {baseline}.")
    if (Path(output_dir) / "metrics.json").exists():
        raise InvalidValueError(
            f"Expected `output_dir` to be a folder of its own, but {output_dir} holds a report."
        )
    reports = [report for group in by_folder.values() for report in group]
    figures = _figures(reports)
    text = comparison_page(reports, by_folder[chosen][0].run, figures)
    return write_files(output_dir, text, figures, {"comparison.csv": comparison_csv(reports)})


def comparison_csv(reports: Sequence[StoredReport]) -> str:
    """A row for each report and method.

    Args:
        reports: of all runs.

    Returns:
        CSV with ``run``, ``dataset``, ``split``, ``shift_kind``, ``shift_strength`` (0 for images
        as they are), ``method``, ``num_cases``, ``parameters``, and ``<metric>_mean``,
        ``<metric>_std``, ``<metric>_low`` and ``<metric>_high`` of every metric. What is not a
        number is empty.
    """
    metrics = dict.fromkeys(
        metric
        for report in reports
        for method in report.methods
        for row in method.scores.values()
        for metric in row
    )
    return csv_text(
        [_row(report, method, list(metrics)) for report in reports for method in report.methods]
    )


def _row(report: StoredReport, method: MethodResult, metrics: Sequence[str]) -> dict[str, object]:
    kind, strength = report.shift or ("", 0)
    row: dict[str, object] = {
        "run": report.run,
        "dataset": report.dataset,
        "split": report.split,
        "shift_kind": kind,
        "shift_strength": strength,
        "method": method.name,
        "num_cases": len(report.case_ids),
        "parameters": method.num_parameters,
    }
    for name in metrics:
        values = list(method.values(name).values())
        statistics, interval = case_statistics(values), bootstrap_interval(values)
        row[f"{name}_mean"] = finite_or_none(statistics.mean)
        row[f"{name}_std"] = finite_or_none(statistics.std)
        row[f"{name}_low"] = None if interval is None else interval.low
        row[f"{name}_high"] = None if interval is None else interval.high
    return row


def _figures(reports: Sequence[StoredReport]) -> list[ReportFigure]:
    figures: list[ReportFigure] = []
    for (run, dataset, split), kinds in shift_series(reports).items():
        if shown_metrics([report for row in kinds.values() for report in row.values()]):
            title = f"{run}: {dataset} ({split}) under shift"
            figures.append(_figure(len(figures), title, _SHIFT_CAPTION, plot_shift(kinds)))
    for run in dict.fromkeys(report.run for report in reports):
        clean = [r for r in reports if r.run == run and r.shift is None]
        if len(data_sets(clean)) > 1 and shown_metrics(clean):
            title = f"{run}: from data set to data set"
            png = plot_data_sets(clean)
            figures.append(_figure(len(figures), title, _DATA_SETS_CAPTION, png))
    return figures


def _figure(index: int, title: str, caption: str, png: bytes) -> ReportFigure:
    name = re.sub(r"[^a-z0-9]+", "_", title.lower())[:_LONGEST_NAME].strip("_")
    return ReportFigure(f"figure_{index + 1}_{name}.png", "shift", title, caption, png)


def _resolved(folder: str | Path) -> Path:
    return Path(folder).resolve()
