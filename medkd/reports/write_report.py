"""Write the report: the page, its figures and its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.reports.page import report_page
from medkd.reports.report_figures import draw_figures
from medkd.reports.report_files import write_files
from medkd.reports.result_files import cases_csv, metrics_csv, metrics_json

if TYPE_CHECKING:
    from pathlib import Path

    from medkd.reports.evaluation_results import EvaluationResults

__all__ = ["write_report"]


def write_report(results: EvaluationResults, output_dir: str | Path) -> Path:
    """Write the report's page, figures and numbers into a folder.

    ``index.html`` holds everything and needs no other file; the PNGs, ``metrics.json``,
    ``metrics.csv`` and ``cases.csv`` beside it are for use elsewhere. All are made before the first
    is written, each is written whole or not at all, and the page comes last: where it lies, the
    report is complete. Figures of an earlier report in the folder that this one does not have are
    removed.

    The spread is the standard deviation over cases with ``n - 1`` in the denominator. One case has
    none: it is ``null`` in JSON, empty in CSV, and left out on the page. Scores that are NaN are
    left out of mean and spread. Intervals are 95 % bootstrap intervals of the mean over cases; one
    case has none. Every method is tested against ``deep_ensemble`` or, without it, against
    ``labels_only``, case by case.

    Args:
        results: what to report.
        output_dir: the folder; it is made if missing, and files of the same names are replaced.

    Returns:
        Path of ``index.html``.

    Raises:
        OSError: if a file cannot be written; it names the file.
    """
    figures = draw_figures(results)
    numbers = {
        "metrics.json": metrics_json(results),
        "metrics.csv": metrics_csv(results),
        "cases.csv": cases_csv(results),
    }
    return write_files(output_dir, report_page(results, figures), figures, numbers)
