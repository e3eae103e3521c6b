"""What a report says structure by structure, and of the comparisons that were planned."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medkd.reports.comparison_words import chance_statement
from medkd.reports.page_layout import definitions, folded, note, section
from medkd.reports.page_tables import class_table, structure_table
from medkd.reports.pair_comparisons import (
    STRUCTURE_METRICS,
    compare_in_pairs,
    compare_structures,
    planned_pairs,
)
from medkd.reports.pair_tables import pair_table, structure_pair_table
from medkd.reports.score_columns import SCORES, STRUCTURE_SCORES, class_ending, score_title
from medkd.reports.volume_grid import in_voxels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from medkd.reports.evaluation_results import EvaluationResults
    from medkd.reports.score_columns import ScoreColumn

__all__ = ["class_section", "pair_section"]

_BINARY = 2
# Headings, without a network that was trained on labels alone and with one.
_PAIRED = {False: "Student, ensemble and single network", True: "Student, peers and labels only"}
_NO_MISS = "No method missed a structure altogether in any case."
_MISSES = (
    "A structure that the label has and of which a method found nothing counts with the diagonal "
    "of the volume in both distances, so that no method gains by leaving it out: "
)


def class_section(results: EvaluationResults) -> str:
    """A table of every score that classes have of their own; of one structure, a row a method.

    Args:
        results: what to show.

    Returns:
        HTML; empty for pictures with one foreground class only.
    """
    if len(results.class_names) == _BINARY:
        return "" if results.grid is None else _one_structure(results)
    scores = SCORES if results.grid is None else STRUCTURE_SCORES
    tables = {score: table for score in scores if (table := class_table(results, score))}
    if not tables:
        return ""
    unit = "class" if results.grid is None else "structure"
    content = [
        f"<h3>{score.title} of every {unit}</h3>\n{table}" for score, table in tables.items()
    ]
    if results.grid is None:
        return section("Class by class", *content)
    return section(
        "Structure by structure", *content, note(_missed(results)), _meanings(results, tables)
    )


def pair_section(results: EvaluationResults) -> str:
    """Paired tests of the planned pairs, of volumes.

    Args:
        results: what to show.

    Returns:
        HTML; empty for pictures, and where no pair is there.
    """
    pairs, comparisons = planned_pairs(results), compare_in_pairs(results)
    if results.grid is None or not comparisons:
        return ""
    ending = results.regions[results.main_region]
    content = [
        pair_table(pairs, comparisons, ending=ending),
        note(chance_statement(comparisons, compared="comparison")),
    ]
    for metric in STRUCTURE_METRICS:
        if found := compare_structures(results, metric):
            content.append(f"<h3>{score_title(metric)}, structure by structure</h3>")
            content.append(structure_pair_table(pairs, found, metric))
            num_tests = sum(map(len, found.values()))
            words = chance_statement(found, compared="comparison", num_tests=num_tests)
            content.append(note(words))
    return section(_PAIRED[results.method("labels_only") is not None], *content)


def _one_structure(results: EvaluationResults) -> str:
    heading = f"Overlap and surfaces of the {results.class_names[1]}"
    measured = [score for score in STRUCTURE_SCORES if score.metric in results.metrics]
    content = (structure_table(results), note(_missed(results)), _meanings(results, measured))
    return section(heading, *content)


def _meanings(results: EvaluationResults, scores: Iterable[ScoreColumn]) -> str:
    meanings = {
        score.title: in_voxels(score.meaning, is_volume=results.is_volume) for score in scores
    }
    return folded("What the tables mean", definitions(meanings))


def _missed(results: EvaluationResults) -> str:
    """How often each method found nothing of a structure; nothing said if that was not counted."""
    names = results.class_names[1:]
    metrics = {f"missed{class_ending(name)}": f"{name} of the " for name in names}
    if len(names) == 1:
        metrics = {"missed": ""}
    parts, is_known = [], False
    for method in results.methods:
        for metric, words in metrics.items():
            values = [value for value in method.values(metric).values() if not math.isnan(value)]
            is_known |= bool(values)
            if num_cases := sum(value > 0 for value in values):
                parts.append(f"{words}{method.title} in {num_cases} of {len(values)} cases")
    if parts:
        return f"{_MISSES}{'; '.join(parts)}."
    return _NO_MISS if is_known else ""
