"""Tables of the planned comparisons as HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.reports.html_table import group_headings, heading, table, two_line_cell
from medkd.reports.number_texts import NO_VALUE
from medkd.reports.page_tables import difference_cells
from medkd.reports.score_columns import score_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from medkd.reports.comparisons import Comparison
    from medkd.reports.evaluation_results import MethodResult

__all__ = ["pair_table", "structure_pair_table"]


def pair_table(
    pairs: Mapping[str, tuple[MethodResult, MethodResult]],
    comparisons: Mapping[str, Sequence[Comparison]],
    *,
    ending: str = "",
) -> str:
    """A row for each pair: number of cases, then difference and p of each metric.

    Args:
        pairs: by name, a method and the one that is subtracted from it.
        comparisons: by metric id; not empty.
        ending: what the metric ids end in.

    Returns:
        HTML.
    """
    scores = {metric: score_column(metric.removesuffix(ending)) for metric in comparisons}
    above = group_headings({" ": 1, **{score.title: 2 for score in scores.values()}})
    head = "<tr><th>Comparison</th><th>Cases</th>"
    head += "<th>Difference</th><th>p</th>" * len(scores) + "</tr>"
    rows = []
    for name, pair in pairs.items():
        cells = two_line_cell(_num_cases(comparisons.values(), name))
        for metric, score in scores.items():
            cells += difference_cells(comparisons[metric], name, score)
        rows.append(f"<tr>{heading(_title(pair))}{cells}</tr>")
    return table(above + head, rows, css_class="small")


def structure_pair_table(
    pairs: Mapping[str, tuple[MethodResult, MethodResult]],
    comparisons: Mapping[str, Sequence[Comparison]],
    metric: str,
) -> str:
    """A row for each structure: number of cases, then difference and p of each pair.

    Args:
        pairs: by name, a method and the one that is subtracted from it.
        comparisons: by structure; not empty.
        metric: such as ``dice``.

    Returns:
        HTML.
    """
    above = group_headings({" ": 1, **{_title(pair): 2 for pair in pairs.values()}})
    head = "<tr><th>Structure</th><th>Cases</th>"
    head += "<th>Difference</th><th>p</th>" * len(pairs) + "</tr>"
    rows = []
    for structure, found in comparisons.items():
        cells = two_line_cell(str(max(one.difference.num_cases for one in found)))
        for name in pairs:
            cells += difference_cells(found, name, score_column(metric))
        rows.append(f"<tr>{heading(structure)}{cells}</tr>")
    return table(above + head, rows, css_class="small")


def _title(pair: tuple[MethodResult, MethodResult]) -> str:
    return f"{pair[0].title} minus {pair[1].title}"


def _num_cases(groups: Iterable[Sequence[Comparison]], name: str) -> str:
    """Of one pair; a range where some metrics have no value for some cases."""
    counts = [one.difference.num_cases for group in groups for one in group if one.method == name]
    return (
        NO_VALUE.join(dict.fromkeys((str(min(counts)), str(max(counts))))) if counts else NO_VALUE
    )
