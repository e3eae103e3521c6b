"""The report's numbers for other programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from medkd.reports.case_statistics import case_statistics
from medkd.reports.comparisons import compare_methods, reference_method
from medkd.reports.confidence_interval import bootstrap_interval
from medkd.reports.method_cost import MethodCost
from medkd.reports.pair_comparisons import (
    STRUCTURE_METRICS,
    compare_in_pairs,
    compare_structures,
    planned_pairs,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from medkd.reports.comparisons import Comparison
    from medkd.reports.confidence_interval import Interval
    from medkd.reports.evaluation_results import EvaluationResults, MethodResult

__all__ = ["cases_csv", "csv_text", "finite_or_none", "metrics_csv", "metrics_json"]

_COSTS = tuple(field.name for field in fields(MethodCost))


def metrics_json(results: EvaluationResults) -> str:
    """Mean, spread and interval of every metric of every method, and the paired comparisons.

    Args:
        results: what to write.

    Returns:
        JSON: ``{"dataset", "split", "num_cases", "shift": {"kind", "strength"} if there is one,
        "volume": {"spacing": {"lowest", "highest"}, "band_radius", "distance_unit"} of volumes,
        "methods": {name: {metric: {"mean", "std", "ci95": [low, high]}, ..., "parameters",
        "seconds_per_case": {"mean", "std", "ci95"}, "title", "summary": {metric: value}, "cost":
        {"multiply_adds", "peak_memory_bytes", "training_seconds", "num_passes"}}}, "comparisons":
        {"reference", "methods": {name: {metric: {"difference", "ci95", "num_cases", "p_value",
        "p_value_holm"}}}, "pairs": [{"method", "reference", "metrics": {metric: as above}}]}}``.
        The pairs are those of :func:`medkd.reports.pair_comparisons.planned_pairs`, also in every
        structure (``dice_<class>``). ``null`` stands for what is not a number or not known: the
        mean of no case, the spread of one, a cost that was not measured, a reference that is
        missing.
    """
    content: dict[str, Any] = {
        "dataset": results.dataset,
        "split": results.split,
        "num_cases": len(results.case_ids),
    }
    if results.shift is not None:
        content["shift"] = dict(zip(("kind", "strength"), results.shift, strict=True))
    if results.grid is not None:
        content["volume"] = {
            "spacing": {"lowest": results.grid.lowest, "highest": results.grid.highest},
            "band_radius": results.grid.band_radius,
            "distance_unit": results.grid.distance_unit,
        }
    content["methods"] = {method.name: _method(results, method) for method in results.methods}
    content["comparisons"] = _comparisons(results)
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def metrics_csv(results: EvaluationResults) -> str:
    """A row for each method.

    Args:
        results: what to write.

    Returns:
        CSV with ``method``, ``num_cases``, ``parameters``, the four costs, ``<metric>_mean``,
        ``<metric>_std``, ``<metric>_low`` and ``<metric>_high`` (95 % interval of the mean) of
        ``seconds_per_case`` and every metric, and the summary metrics. What is not a number or not
        known is empty.
    """
    summaries = dict.fromkeys(metric for method in results.methods for metric in method.summary)
    rows = []
    for method in results.methods:
        entries = _entries(results, method)
        row = {"method": method.name, "num_cases": len(results.case_ids)}
        row["parameters"] = entries.pop("parameters")
        row.update(_cost(method) or dict.fromkeys(_COSTS))
        for name in ("seconds_per_case", *results.metrics):
            low, high = entries[name].pop("ci95") or (None, None)
            parts = {**entries[name], "low": low, "high": high}
            row.update({f"{name}_{part}": value for part, value in parts.items()})
        row.update({name: finite_or_none(method.summary.get(name, math.nan)) for name in summaries})
        rows.append(row)
    return csv_text(rows)


def cases_csv(results: EvaluationResults) -> str:
    """A row for each case and method.

    Args:
        results: what to write.

    Returns:
        CSV with ``case_id``, ``method``, ``seconds`` and every metric. What is not a number is
        empty.
    """
    return csv_text(
        [
            {
                "case_id": case_id,
                "method": method.name,
                "seconds": finite_or_none(method.seconds_per_case[case_id]),
                **{name: finite_or_none(method.values(name)[case_id]) for name in results.metrics},
            }
            for case_id in results.case_ids
            for method in results.methods
        ]
    )


def finite_or_none(value: float) -> float | None:
    """A number for JSON and CSV.

    Args:
        value: any.

    Returns:
        The same; ``None`` for NaN and infinity, which JSON does not have and which an empty CSV
        field stands for.
    """
    return float(value) if math.isfinite(value) else None


def csv_text(rows: Sequence[Mapping[str, object]]) -> str:
    """Rows as CSV.

    Args:
        rows: all with the same keys; at least one.

    Returns:
        Text; ``None`` is an empty field.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _entries(results: EvaluationResults, method: MethodResult) -> dict[str, Any]:
    entries: dict[str, Any] = {
        name: _statistics(method.values(name).values()) for name in results.metrics
    }
    entries["parameters"] = int(method.num_parameters)
    entries["seconds_per_case"] = _statistics(method.seconds_per_case.values())
    return entries


def _method(results: EvaluationResults, method: MethodResult) -> dict[str, Any]:
    return {
        **_entries(results, method),
        "title": method.title,
        "summary": {name: finite_or_none(value) for name, value in method.summary.items()},
        "cost": _cost(method),
    }


def _cost(method: MethodResult) -> dict[str, Any] | None:
    return None if method.cost is None else asdict(method.cost)


def _comparisons(results: EvaluationResults) -> dict[str, Any] | None:
    found = compare_methods(results)
    methods: dict[str, dict[str, Any]] = {}
    for metric, comparisons in found.items():
        for comparison in comparisons:
            methods.setdefault(comparison.method, {})[metric] = _comparison(comparison)
    pairs = _pairs(results)
    if not methods and not pairs:
        return None
    reference = reference_method(results)
    name = None if reference is None else reference.name
    return {"reference": name, "methods": methods, "pairs": pairs}


def _pairs(results: EvaluationResults) -> list[dict[str, Any]]:
    found = list(compare_in_pairs(results).values())
    for metric in STRUCTURE_METRICS:
        found += compare_structures(results, metric).values()
    tests = [comparison for comparisons in found for comparison in comparisons]
    return [
        {
            "method": method.name,
            "reference": reference.name,
            "metrics": {test.metric: _comparison(test) for test in tests if test.method == name},
        }
        for name, (method, reference) in planned_pairs(results).items()
    ]


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "difference": finite_or_none(comparison.difference.mean),
        "ci95": _ends(comparison.interval),
        "num_cases": comparison.difference.num_cases,
        "p_value": finite_or_none(comparison.p_value),
        "p_value_holm": finite_or_none(comparison.corrected_p_value),
    }


def _statistics(values: Iterable[float]) -> dict[str, Any]:
    values = list(values)
    statistics = case_statistics(values)
    return {
        "mean": finite_or_none(statistics.mean),
        "std": finite_or_none(statistics.std),
        "ci95": _ends(bootstrap_interval(values)),
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]
