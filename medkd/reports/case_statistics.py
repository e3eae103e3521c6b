"""Mean and spread over cases, and paired differences."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from medkd.reports.evaluation_results import MethodResult

__all__ = ["CaseStatistics", "PairedDifference", "case_statistics", "paired_difference"]


@dataclass(frozen=True)
class CaseStatistics:
    """Mean and spread of a score over the cases that have it.

    Attributes:
        mean: arithmetic mean; NaN if no case has the score.
        std: sample standard deviation (``n - 1`` in the denominator); NaN for fewer than two
            cases, since one case says nothing about the spread between cases.
        num_cases: cases that have the score.
    """

    mean: float
    std: float
    num_cases: int


@dataclass(frozen=True)
class PairedDifference:
    """A method's score minus another's, case by case.

    Attributes:
        difference: mean and spread of the differences.
        num_higher: cases where the first method's score is higher.
        num_lower: cases where it is lower.
        values: every case's difference; NaN where either method has no score.
    """

    difference: CaseStatistics
    num_higher: int
    num_lower: int
    values: tuple[float, ...]


def case_statistics(values: Iterable[float]) -> CaseStatistics:
    """Mean and standard deviation over cases.

    Args:
        values: one a case; NaN means that the case has none, and is left out.

    Returns:
        Both, and how many cases they are from.

    Example:
        >>> case_statistics([1.0, 2.0, 3.0, float("nan")])
        CaseStatistics(mean=2.0, std=1.0, num_cases=3)
    """
    known = [float(value) for value in values if not math.isnan(value)]
    mean = math.fsum(known) / len(known) if known else math.nan
    if len(known) < 2 or not math.isfinite(mean):
        return CaseStatistics(mean, math.nan, len(known))
    squares = math.fsum((value - mean) ** 2 for value in known)
    return CaseStatistics(mean, math.sqrt(squares / (len(known) - 1)), len(known))


def paired_difference(method: MethodResult, other: MethodResult, metric: str) -> PairedDifference:
    """How much a method's score differs from another's on the same cases.

    Args:
        method: the first method.
        other: the one that is subtracted.
        metric: metric id. Cases where either has no score are left out.

    Returns:
        The differences' mean and spread, and in how many cases the first is higher and lower.
    """
    theirs = other.values(metric)
    differences = tuple(
        value - theirs.get(case_id, math.nan) for case_id, value in method.values(metric).items()
    )
    return PairedDifference(
        difference=case_statistics(differences),
        num_higher=sum(difference > 0 for difference in differences),
        num_lower=sum(difference < 0 for difference in differences),
        values=differences,
    )
