"""Which reports of several runs belong together, and what may be tested between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.reports.comparisons import compare_pairs
from medkd.reports.score_columns import COMPARED_METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.reports.comparisons import Comparison
    from medkd.reports.stored_report import StoredReport

__all__ = ["compare_runs", "data_sets", "shift_series"]


def data_sets(reports: Sequence[StoredReport]) -> dict[tuple[str, str], list[StoredReport]]:
    """Reports on images as they are, by data set and split.

    Args:
        reports: of all runs.

    Returns:
        Data set and split to the reports on it, in the order given.
    """
    found: dict[tuple[str, str], list[StoredReport]] = {}
    for report in reports:
        if report.shift is None:
            found.setdefault((report.dataset, report.split), []).append(report)
    return found


def shift_series(
    reports: Sequence[StoredReport],
) -> dict[tuple[str, str, str], dict[str, dict[int, StoredReport]]]:
    """Reports under shift, with the one on the same images as they are as strength 0.

    Args:
        reports: of all runs.

    Returns:
        Run, data set and split to kind of shift to strength to report.
    """
    clean = {(r.run, r.dataset, r.split): r for r in reports if r.shift is None}
    found: dict[tuple[str, str, str], dict[str, dict[int, StoredReport]]] = {}
    for report in reports:
        if report.shift is None:
            continue
        key = (report.run, report.clean_dataset, report.split)
        kind, strength = report.shift
        start = {0: clean[key]} if key in clean else {}
        found.setdefault(key, {}).setdefault(kind, start)[strength] = report
    return found


def compare_runs(report: StoredReport, baseline: StoredReport) -> dict[str, list[Comparison]]:
    """Compare every method of a run with the same method of another.

    Args:
        report: of one run.
        baseline: of the run that is subtracted, on the same cases.

    Returns:
        Metric id to a comparison for each method that both have, for Dice, ECE, NLL and AURC;
        p-values are corrected for the methods of one metric.
    """
    pairs = {
        method.name: (method, reference)
        for method in report.methods
        if (reference := baseline.method(method.name)) is not None
    }
    found = {metric: compare_pairs(pairs, metric) for metric in COMPARED_METRICS}
    return {metric: comparisons for metric, comparisons in found.items() if comparisons}
