"""The cells of the report's tables, the best of each column marked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.reports.case_statistics import case_statistics
from medkd.reports.confidence_interval import bootstrap_interval
from medkd.reports.number_texts import NO_VALUE, interval_text, number_text, score_digits
from medkd.reports.score_columns import (
    CALIBRATION_SCORES,
    REGION_SCORES,
    SCORES,
    STRUCTURE_SCORES,
    SUMMARY_SCORES,
    UNCERTAINTY_SCORES,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from medkd.reports.evaluation_results import EvaluationResults, MethodResult
    from medkd.reports.score_columns import ScoreColumn

__all__ = [
    "TableCell",
    "TableColumn",
    "calibration_columns",
    "main_columns",
    "main_scores",
    "region_columns",
    "score_table_column",
    "size_and_time_columns",
    "structure_columns",
    "uncertainty_columns",
]

_MAX_SECOND_DIGITS = 5


@dataclass(frozen=True)
class TableCell:
    """One method's entry as text, and whether no method's is better.

    Attributes:
        mean: over cases.
        spread: standard deviation over cases; empty where there is none.
        interval: 95 % bootstrap interval of the mean; empty where there is none.
        is_best: whether to mark it.
    """

    mean: str
    spread: str = ""
    interval: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class TableColumn:
    """A heading, which way is better, a cell for each method, and what it means if need be."""

    title: str
    higher_is_better: bool
    cells: tuple[TableCell, ...]
    meaning: str = ""

    @property
    def arrow(self) -> str:
        """An arrow towards better."""
        return "↑" if self.higher_is_better else "↓"


def main_columns(results: EvaluationResults) -> list[TableColumn]:
    """Columns of the main table.

    Args:
        results: what to show.

    Returns:
        Dice, of volumes the 95 % Hausdorff distance, MCC, ECE, Brier, NLL in the main region,
        parameters, and seconds per case.
    """
    ending = results.regions[results.main_region]
    scores = main_scores(results)
    columns = [score_table_column(results.methods, score, ending) for score in scores]
    return [*columns, *size_and_time_columns(results.methods)]


def main_scores(results: EvaluationResults) -> list[ScoreColumn]:
    """Scores of the main table.

    Args:
        results: what to show.

    Returns:
        All that are of pictures and volumes alike, and those of volumes where they were measured.
    """
    measured = results.metrics
    return [score for score in SCORES if not score.is_of_volumes or score.metric in measured]


def calibration_columns(results: EvaluationResults) -> list[TableColumn]:
    """Columns of the calibration table, in the main region.

    Args:
        results: what to show.

    Returns:
        A column for each score that some method has.
    """
    return _known_columns(results, CALIBRATION_SCORES, results.main_region)


def uncertainty_columns(results: EvaluationResults) -> list[TableColumn]:
    """Columns of the table that says whether uncertainty finds the errors, in the main region.

    Args:
        results: what to show.

    Returns:
        A column for each score that some method has; those that are one number for all cases come
        last and have neither spread nor interval.
    """
    columns = _known_columns(results, UNCERTAINTY_SCORES, results.main_region)
    for score in SUMMARY_SCORES:
        values = [method.summary.get(score.metric, math.nan) for method in results.methods]
        if any(map(math.isfinite, values)):
            columns.append(_column(score, [[value] for value in values]))
    return columns


def structure_columns(results: EvaluationResults) -> list[TableColumn]:
    """Columns of a structure's scores, of volumes with one structure, which is the whole label.

    Args:
        results: what to show.

    Returns:
        A column for each of these scores that some method has.
    """
    return _known_columns(results, STRUCTURE_SCORES, results.main_region)


def region_columns(results: EvaluationResults, region: str) -> list[TableColumn]:
    """Columns of one region.

    Args:
        results: what to show.
        region: a key of ``results.regions``.

    Returns:
        ECE, Brier and NLL there; none if no method has a score there.
    """
    return _known_columns(results, REGION_SCORES, region)


def score_table_column(
    methods: Sequence[MethodResult], score: ScoreColumn, ending: str = ""
) -> TableColumn:
    """One score of every method.

    Args:
        methods: the rows.
        score: which score.
        ending: what its metric id ends in, in the region that is meant.

    Returns:
        The column.
    """
    return _column(score, [method.values(f"{score.metric}{ending}").values() for method in methods])


def size_and_time_columns(methods: Sequence[MethodResult]) -> list[TableColumn]:
    """Parameters, and seconds per case with three figures.

    Args:
        methods: the rows.

    Returns:
        Both columns.
    """
    counts = [method.num_parameters for method in methods]
    best = _best([float(count) for count in counts], higher_is_better=False)
    sizes = tuple(TableCell(f"{count:,}", is_best=float(count) == best) for count in counts)
    seconds = [list(method.seconds_per_case.values()) for method in methods]
    means = [case_statistics(values).mean for values in seconds]
    positive = [mean for mean in means if 0 < mean < math.inf]
    digits = 2 - math.floor(math.log10(min(positive))) if positive else 0
    digits = min(max(digits, 0), _MAX_SECOND_DIGITS)
    times = _cells(seconds, digits, higher_is_better=False)
    return [
        TableColumn("parameters", False, sizes),
        TableColumn("seconds per case", False, times),
    ]


def _known_columns(
    results: EvaluationResults, scores: Iterable[ScoreColumn], region: str
) -> list[TableColumn]:
    ending = results.regions[region]
    return [
        score_table_column(results.methods, score, ending)
        for score in scores
        if f"{score.metric}{ending}" in results.metrics
    ]


def _column(score: ScoreColumn, values: Sequence[Iterable[float]]) -> TableColumn:
    rows = [list(row) for row in values]
    digits = score.digits
    if digits is None:
        digits = score_digits(case_statistics(row).mean for row in rows)
    cells = _cells(rows, digits, higher_is_better=score.higher_is_better)
    return TableColumn(score.title, score.higher_is_better, cells, score.meaning)


def _cells(
    rows: Sequence[Sequence[float]], digits: int, *, higher_is_better: bool
) -> tuple[TableCell, ...]:
    statistics = [case_statistics(row) for row in rows]
    # What is marked is decided on what is shown: equal figures are never told apart.
    shown = [round(entry.mean, digits) for entry in statistics]
    best = _best(shown, higher_is_better=higher_is_better)
    return tuple(
        TableCell(
            mean=_text(entry.mean, digits),
            spread=_text(entry.std, digits, missing=""),
            interval=interval_text(bootstrap_interval(row), digits),
            is_best=value == best,
        )
        for row, entry, value in zip(rows, statistics, shown, strict=True)
    )


def _best(values: Sequence[float], *, higher_is_better: bool) -> float | None:
    """The best value; ``None`` if there is nothing to tell apart."""
    finite = [value for value in values if math.isfinite(value)]
    if len(set(finite)) < 2:
        return None
    return max(finite) if higher_is_better else min(finite)


def _text(value: float, digits: int, *, missing: str = NO_VALUE) -> str:
    return number_text(value, digits) if math.isfinite(value) else missing
