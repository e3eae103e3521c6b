"""The comparisons that were planned: a student with its teachers or peers and with a baseline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from medkd.reports.comparisons import compare_pairs
from medkd.reports.paired_test import holm_correction
from medkd.reports.score_columns import class_ending

if TYPE_CHECKING:
    from medkd.reports.comparisons import Comparison
    from medkd.reports.evaluation_results import EvaluationResults, MethodResult

__all__ = ["STRUCTURE_METRICS", "compare_in_pairs", "compare_structures", "planned_pairs"]

STRUCTURE_METRICS = ("dice", "hd95")
"""Those whose differences are tested for each structure."""

_METRICS = ("dice", "hd95", "ece", "nll")
_PAIRS = (
    ("student", "deep_ensemble"),
    ("student", "single"),
    ("deep_ensemble", "single"),
    ("student", "teacher"),
    ("student", "labels_only"),
    ("peer_ensemble", "labels_only"),
    ("student", "peer_ensemble"),
)


def planned_pairs(results: EvaluationResults) -> dict[str, tuple[MethodResult, MethodResult]]:
    """Student, ensemble and single network, or student, teacher or peers and labels only.

    Args:
        results: the methods.

    Returns:
        By name, such as ``student minus single``, a method and the one that is subtracted from it;
        pairs of which a method is missing are left out.
    """
    found = {}
    for name, other in _PAIRS:
        method, reference = results.method(name), results.method(other)
        if method is not None and reference is not None:
            found[f"{name} minus {other}"] = (method, reference)
    return found


def compare_in_pairs(results: EvaluationResults) -> dict[str, list[Comparison]]:
    """Compare the planned pairs in the main region.

    Args:
        results: the methods.

    Returns:
        Metric id to a comparison for each pair, for Dice, HD95, ECE and NLL as far as they were
        measured; p-values are corrected for the pairs of one metric.
    """
    ending = results.regions[results.main_region]
    pairs = planned_pairs(results)
    found = {f"{name}{ending}": compare_pairs(pairs, f"{name}{ending}") for name in _METRICS}
    return {metric: comparisons for metric, comparisons in found.items() if comparisons}


def compare_structures(results: EvaluationResults, metric: str) -> dict[str, list[Comparison]]:
    """Compare the planned pairs in every structure.

    Args:
        results: the methods.
        metric: such as ``dice``.

    Returns:
        Name of the structure to a comparison for each pair, over the cases that have it; p-values
        are corrected for all pairs and structures together. Empty if there is one structure only.
    """
    pairs = planned_pairs(results)
    found = {}
    for name in results.class_names[1:]:
        if comparisons := compare_pairs(pairs, f"{metric}{class_ending(name)}"):
            found[name] = comparisons
    flat = [comparison for group in found.values() for comparison in group]
    corrected = iter(holm_correction([comparison.p_value for comparison in flat]))
    return {
        name: [replace(comparison, corrected_p_value=next(corrected)) for comparison in group]
        for name, group in found.items()
    }
