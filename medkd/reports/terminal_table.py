"""The main table as plain text, for the terminal that ran the evaluation."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from medkd.reports.tables import main_columns
from medkd.reports.volume_grid import in_distance_unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.reports.evaluation_results import EvaluationResults

__all__ = ["format_table"]

_WIDTH = 80
_NARROWEST = 12


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
    numbers = [["", *(column.title for column in columns[:-1]), "s/case"]]
    for row in range(len(results.methods)):
        cells = [column.cells[row] for column in columns]
        numbers.append(["", *(f"{cell.mean}{'*' * cell.is_best}" for cell in cells)])
        numbers.append(["", *(f"±{cell.spread}" if cell.spread else "" for cell in cells)])
    table = _aligned([_room_for_star(line) for line in numbers])
    room = max(_WIDTH - max(map(len, table)), _NARROWEST)
    aligned = _titled(["method", *(method.title for method in results.methods)], table, room)
    num_cases = len(results.case_ids)
    spread = " ± standard deviation" if num_cases > 1 else ""
    head = (
        f"{results.dataset}, {results.split} split, {num_cases} case{'s' * (num_cases != 1)}, "
        f"{results.main_region}: mean{spread} over cases"
    )
    if any(cell.is_best for column in columns for cell in column.cells):
        head += "; * best"
    return in_distance_unit("\n".join([head, "", *aligned]), results.grid)


def _titled(titles: Sequence[str], table: Sequence[str], room: int) -> list[str]:
    """Titles before the lines of numbers, wrapped over as many lines as they need."""
    wrapped = [textwrap.wrap(title, room) or [""] for title in titles]
    width = max(len(line) for lines in wrapped for line in lines)
    # The heading has one line of numbers, a method two: means and spreads.
    blocks = [table[:1], *(table[row : row + 2] for row in range(1, len(table), 2))]
    lines = []
    for title, block in zip(wrapped, blocks, strict=True):
        height = max(len(title), len(block))
        names = [*title, *[""] * (height - len(title))]
        rows = [*block, *[""] * (height - len(block))]
        both = (f"{name.ljust(width)}{row}" for name, row in zip(names, rows, strict=True))
        lines += [line.rstrip() for line in both if line.strip()]
    return lines


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
