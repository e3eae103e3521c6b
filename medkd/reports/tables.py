"""The cells of the report's tables, the best of each column marked, and the table as plain text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.reports.case_statistics import CaseStatistics, case_statistics
from medkd.reports.score_columns import CALIBRATION_SCORES, SCORES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.reports.evaluation_results import EvaluationResults
    from medkd.reports.score_columns import ScoreColumn

__all__ = [
    "NO_VALUE",
    "TableCell",
    "TableColumn",
    "format_table",
    "main_columns",
    "region_columns",
    "seconds_text",
]

NO_VALUE = "–"  # noqa: RUF001 - the dash of typeset tables
"""What a table shows where there is no number."""

_SCORE_DIGITS = 4
_MAX_SECOND_DIGITS = 5
_WHOLE_SECONDS = 100


@dataclass(frozen=True)
class TableCell:
    """One method's entry: its mean and spread as text, and whether no method's is better."""

    mean: str
    spread: str = ""
    is_best: bool = False


@dataclass(frozen=True)
class TableColumn:
    """A heading, which way is better, and a cell for each method."""

    title: str
    higher_is_better: bool
    cells: tuple[TableCell, ...]

    @property
    def arrow(self) -> str:
        """An arrow towards better."""
        return "↑" if self.higher_is_better else "↓"


def main_columns(results: EvaluationResults) -> list[TableColumn]:
    """Columns of the main table.

    Args:
        results: what to show.

    Returns:
        Dice, MCC, ECE, Brier, NLL in the main region, parameters, and seconds per case.
    """
    ending = results.regions[results.main_region]
    columns = [_score_column(results, score, ending) for score in SCORES]
    return [*columns, _parameters_column(results), _seconds_column(results)]


def region_columns(results: EvaluationResults, region: str) -> list[TableColumn]:
    """Columns of one region.

    Args:
        results: what to show.
        region: a key of ``results.regions``.

    Returns:
        ECE, Brier and NLL there; none if no method has a score there.
    """
    ending = results.regions[region]
    if not any(f"{score.metric}{ending}" in results.metrics for score in CALIBRATION_SCORES):
        return []
    return [_score_column(results, score, ending) for score in CALIBRATION_SCORES]


def format_table(results: EvaluationResults) -> str:
    """The main table for a terminal of 80 columns.

    Args:
        results: what to show.

    Returns:
        Lines without a line end after the last: a heading, then for each method a line of means and
        below it the spread over cases. ``*`` marks the best of a column.

    Example:
        >>> from medkd.reports import EvaluationResults, MethodResult, format_table
        >>> scores = {"a": {"dice": 0.75, "mcc": 0.7, "ece": 0.02, "brier": 0.1, "nll": 0.2}}
        >>> method = MethodResult("student", "student", 1234, {"a": 0.5}, scores)
        >>> results = EvaluationResults("EYES", "test", [method], ["background", "vessel"])
        >>> print(format_table(results))
        EYES, test split, 1 case, field of view: mean over cases
        <BLANKLINE>
        method     Dice     MCC     ECE   Brier     NLL  parameters  s/case
        student  0.7500  0.7000  0.0200  0.1000  0.2000       1,234   0.500
    """
    columns = main_columns(results)
    titles = ["method", *(column.title for column in columns[:-1]), "s/case"]
    lines = [titles]
    for row, method in enumerate(results.methods):
        cells = [column.cells[row] for column in columns]
        lines.append([method.title, *(f"{cell.mean}{'*' * cell.is_best}" for cell in cells)])
        lines.append(["", *(f"±{cell.spread}" if cell.spread else "" for cell in cells)])
    aligned = _aligned([_room_for_star(line) for line in lines if any(line)])
    num_cases = len(results.case_ids)
    spread = " ± standard deviation" if num_cases > 1 else ""
    head = (
        f"{results.dataset}, {results.split} split, {num_cases} case{'s' * (num_cases != 1)}, "
        f"{results.main_region}: mean{spread} over cases"
    )
    if any(cell.is_best for column in columns for cell in column.cells):
        head += "; * best"
    return "\n".join([head, "", *aligned])


def seconds_text(seconds: float) -> str:
    """A time with three figures, or whole seconds.

    Args:
        seconds: the time.

    Returns:
        Text without the unit.

    Example:
        >>> seconds_text(0.4263), seconds_text(1234.5)
        ('0.426', '1,234')
    """
    if not math.isfinite(seconds):
        return NO_VALUE
    return f"{seconds:.3g}" if seconds < _WHOLE_SECONDS else f"{seconds:,.0f}"


def _score_column(results: EvaluationResults, score: ScoreColumn, ending: str) -> TableColumn:
    statistics = [
        case_statistics(method.values(f"{score.metric}{ending}").values())
        for method in results.methods
    ]
    return _column(score.title, score.higher_is_better, statistics, _SCORE_DIGITS)


def _parameters_column(results: EvaluationResults) -> TableColumn:
    counts = [method.num_parameters for method in results.methods]
    best = _best([float(count) for count in counts], higher_is_better=False)
    cells = (TableCell(f"{count:,}", "", float(count) == best) for count in counts)
    return TableColumn("parameters", False, tuple(cells))


def _seconds_column(results: EvaluationResults) -> TableColumn:
    statistics = [case_statistics(method.seconds_per_case.values()) for method in results.methods]
    positive = [entry.mean for entry in statistics if 0 < entry.mean < math.inf]
    digits = 2 - math.floor(math.log10(min(positive))) if positive else 0
    return _column("seconds per case", False, statistics, min(max(digits, 0), _MAX_SECOND_DIGITS))


def _column(
    title: str, higher_is_better: bool, statistics: Sequence[CaseStatistics], digits: int
) -> TableColumn:
    # What is marked is decided on what is shown: equal figures are never told apart.
    shown = [round(entry.mean, digits) for entry in statistics]
    best = _best(shown, higher_is_better=higher_is_better)
    cells = (
        TableCell(_text(entry.mean, digits), _text(entry.std, digits, missing=""), value == best)
        for entry, value in zip(statistics, shown, strict=True)
    )
    return TableColumn(title, higher_is_better, tuple(cells))


def _best(values: Sequence[float], *, higher_is_better: bool) -> float | None:
    """The best value; ``None`` if there is nothing to tell apart."""
    finite = [value for value in values if math.isfinite(value)]
    if len(set(finite)) < 2:
        return None
    return max(finite) if higher_is_better else min(finite)


def _text(value: float, digits: int, *, missing: str = NO_VALUE) -> str:
    return f"{value:,.{digits}f}" if math.isfinite(value) else missing


def _room_for_star(line: Sequence[str]) -> list[str]:
    """Numbers end in one column, starred or not."""
    return [line[0], *(text if text.endswith("*") else f"{text} " for text in line[1:])]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        " ".join(
            [line[0].ljust(widths[0] + 1)]
            + [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
        ).rstrip()
        for line in lines
    ]
