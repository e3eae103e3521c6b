"""How far paired tests carry, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.reports.number_texts import p_text
from medkd.reports.paired_test import lowest_p_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medkd.reports.comparisons import Comparison

__all__ = ["chance_statement"]

_LEVEL = 0.05


def chance_statement(
    comparisons: Mapping[str, Sequence[Comparison]],
    *,
    compared: str = "method",
    num_tests: int | None = None,
) -> str:
    """What the numbers of a table of differences are, and what so few cases cannot show.

    Args:
        comparisons: those of the table, by metric id; not empty.
        compared: what p-values are corrected for the number of.
        num_tests: how many those are; by default as many as the largest group has.

    Returns:
        Plain text.
    """
    rows = [comparison for group in comparisons.values() for comparison in group]
    num_cases = max(row.difference.num_cases for row in rows)
    if num_tests is None:
        num_tests = max(len(group) for group in comparisons.values())
    text = (
        "Mean difference over the same cases, below it its 95% bootstrap interval; p of Wilcoxon's "
        f"signed-rank test (two-sided), below it p after Holm's correction for {num_tests} "
        f"{compared}{'s' * (num_tests > 1)}. Shaded is what remains below {_LEVEL} after "
        "it: green is better, red is worse. "
    )
    lowest, corrected = lowest_p_value(num_cases), lowest_p_value(num_cases, num_tests=num_tests)
    cases = f"{num_cases} case{'s' * (num_cases != 1)}"
    if lowest >= _LEVEL:
        return f"{text}With {cases} no p below {_LEVEL} is possible, whatever the difference."
    if corrected >= _LEVEL:
        return (
            f"{text}With {cases} and {num_tests} {compared}s no corrected p below {_LEVEL} is "
            f"possible (the lowest is {p_text(corrected)}): look at the intervals, and at the "
            "uncorrected p of a comparison that was planned beforehand."
        )
    return text.rstrip()
