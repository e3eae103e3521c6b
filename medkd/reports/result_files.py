"""The report's numbers for other programs: JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

from medkd.reports.case_statistics import case_statistics

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from medkd.reports.evaluation_results import EvaluationResults, MethodResult

__all__ = ["cases_csv", "metrics_csv", "metrics_json"]


def metrics_json(results: EvaluationResults) -> str:
    """Mean and spread of every metric of every method.

    Args:
        results: what to write.

    Returns:
        JSON: ``{"dataset", "split", "num_cases", "methods": {name: {metric: {"mean", "std"}, ...,
        "parameters", "seconds_per_case": {"mean", "std"}}}}``. ``null`` stands for what is not a
        number: the mean of no case, the spread of one.
    """
    content = {
        "dataset": results.dataset,
        "split": results.split,
        "num_cases": len(results.case_ids),
        "methods": {method.name: _entries(results, method) for method in results.methods},
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def metrics_csv(results: EvaluationResults) -> str:
    """A row for each method.

    Args:
        results: what to write.

    Returns:
        CSV with ``method``, ``num_cases``, ``parameters``, and ``<metric>_mean`` and
        ``<metric>_std`` of ``seconds_per_case`` and every metric. What is not a number is empty.
    """
    rows = []
    for method in results.methods:
        entries = _entries(results, method)
        row = {"method": method.name, "num_cases": len(results.case_ids)}
        row["parameters"] = entries.pop("parameters")
        for name in ("seconds_per_case", *results.metrics):
            row.update({f"{name}_{part}": value for part, value in entries[name].items()})
        rows.append(row)
    return _csv(rows)


def cases_csv(results: EvaluationResults) -> str:
    """A row for each case and method.

    Args:
        results: what to write.

    Returns:
        CSV with ``case_id``, ``method``, ``seconds`` and every metric. What is not a number is
        empty.
    """
    return _csv(
        [
            {
                "case_id": case_id,
                "method": method.name,
                "seconds": _number(method.seconds_per_case[case_id]),
                **{name: _number(method.values(name)[case_id]) for name in results.metrics},
            }
            for case_id in results.case_ids
            for method in results.methods
        ]
    )


def _entries(results: EvaluationResults, method: MethodResult) -> dict[str, Any]:
    entries: dict[str, Any] = {
        name: _mean_and_std(method.values(name).values()) for name in results.metrics
    }
    entries["parameters"] = int(method.num_parameters)
    entries["seconds_per_case"] = _mean_and_std(method.seconds_per_case.values())
    return entries


def _mean_and_std(values: Iterable[float]) -> dict[str, float | None]:
    statistics = case_statistics(values)
    return {"mean": _number(statistics.mean), "std": _number(statistics.std)}


def _number(value: float) -> float | None:
    """JSON has no NaN and no infinity; an empty CSV field is read as missing."""
    return float(value) if math.isfinite(value) else None


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
