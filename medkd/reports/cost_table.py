"""What a prediction by each method costs, as the cells of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.reports.case_statistics import case_statistics
from medkd.reports.number_texts import NO_VALUE, duration_text, seconds_text, size_text

if TYPE_CHECKING:
    from medkd.reports.evaluation_results import EvaluationResults, MethodResult

__all__ = ["COST_HEADINGS", "cost_rows"]

COST_HEADINGS = {
    "Parameters": "of all networks that a prediction needs",
    "Passes": "of a network, for one prediction",
    "Multiply-adds": "of one case, in billions (G) or trillions (T)",
    "Seconds per case": "mean over cases",
    "Peak memory": "highest use during one prediction",
    "Training": "time until the method can predict, all of its networks together",
}
"""Heading of each column to what it means."""

_THOUSAND, _KIBI = 1000, 1024


def cost_rows(results: EvaluationResults) -> list[tuple[str, ...]]:
    """A row for each method, a dash for what was not measured.

    Args:
        results: what to show.

    Returns:
        As many texts in each row as there are headings.
    """
    return [_row(method) for method in results.methods]


def _row(method: MethodResult) -> tuple[str, ...]:
    cost = method.cost
    passes = multiply_adds = memory = training = NO_VALUE
    if cost is not None:
        passes = str(cost.num_passes)
        if cost.multiply_adds is not None:
            multiply_adds = size_text(cost.multiply_adds, _THOUSAND, "")
        if cost.peak_memory_bytes is not None:
            memory = size_text(cost.peak_memory_bytes, _KIBI, "iB")
        if cost.training_seconds is not None:
            training = duration_text(cost.training_seconds)
    seconds = seconds_text(case_statistics(method.seconds_per_case.values()).mean)
    return (f"{method.num_parameters:,}", passes, multiply_adds, seconds, memory, training)
