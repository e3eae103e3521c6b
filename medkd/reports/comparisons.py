"""Every method against a reference, case by case: how much, and could it be chance?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.reports.case_statistics import CaseStatistics, paired_difference
from medkd.reports.confidence_interval import bootstrap_interval
from medkd.reports.paired_test import holm_correction, signed_rank_p_value
from medkd.reports.score_columns import COMPARED_METRICS

if TYPE_CHECKING:
    from medkd.reports.confidence_interval import Interval
    from medkd.reports.evaluation_results import EvaluationResults, MethodResult

__all__ = ["Comparison", "compare_methods", "compare_pairs", "reference_method"]

# What others are compared with: the first that is there.
_REFERENCES = ("deep_ensemble", "teacher", "labels_only")


@dataclass(frozen=True)
class Comparison:
    """One method's score minus the reference's on the same cases.

    Attributes:
        method: name of the method.
        metric: metric id.
        difference: mean and spread of the differences over the cases that both have.
        interval: 95 % bootstrap interval of the mean difference; ``None`` for one case.
        p_value: of Wilcoxon's signed-rank test, two-sided; NaN without a case.
        corrected_p_value: the same after Holm's correction over the methods of this metric.
    """

    method: str
    metric: str
    difference: CaseStatistics
    interval: Interval | None
    p_value: float
    corrected_p_value: float


def reference_method(results: EvaluationResults) -> MethodResult | None:
    """The method that all others are compared with.

    Args:
        results: the methods.

    Returns:
        The deep ensemble, or else the network that was trained on labels alone; ``None`` without
        either.
    """
    found = (results.method(name) for name in _REFERENCES)
    return next((method for method in found if method is not None), None)


def compare_methods(results: EvaluationResults) -> dict[str, list[Comparison]]:
    """Compare every other method with the reference, in the main region.

    Args:
        results: the methods.

    Returns:
        Metric id to a comparison for each other method that shares a case with the reference, for
        Dice, HD95, ECE, NLL and AURC as far as they were measured; empty without the reference.
    """
    reference = reference_method(results)
    if reference is None:
        return {}
    others = [method for method in results.methods if method is not reference]
    ending = results.regions[results.main_region]
    found = {}
    for name in COMPARED_METRICS:
        metric = f"{name}{ending}"
        pairs = {method.name: (method, reference) for method in others}
        if comparisons := compare_pairs(pairs, metric):
            found[metric] = comparisons
    return found


def compare_pairs(
    pairs: dict[str, tuple[MethodResult, MethodResult]], metric: str
) -> list[Comparison]:
    """Compare the two methods of each pair, and correct the p-values for the number of pairs.

    Args:
        pairs: name to a method and the one that is subtracted from it.
        metric: metric id.

    Returns:
        A comparison for each pair with a case that both methods have a score for.
    """
    differences = {}
    for name, (method, reference) in pairs.items():
        paired = paired_difference(method, reference, metric)
        if paired.difference.num_cases:
            differences[name] = paired
    p_values = [signed_rank_p_value(paired.values) for paired in differences.values()]
    return [
        Comparison(
            method=name,
            metric=metric,
            difference=paired.difference,
            interval=bootstrap_interval(paired.values),
            p_value=p_value,
            corrected_p_value=corrected,
        )
        for (name, paired), p_value, corrected in zip(
            differences.items(), p_values, holm_correction(p_values), strict=True
        )
    ]
