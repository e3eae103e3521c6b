"""The report's tables as HTML, each a row a method unless it says otherwise."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from medkd.reports.cost_table import COST_HEADINGS, cost_rows
from medkd.reports.figure_style import method_styles
from medkd.reports.html_table import (
    cell,
    column_headings,
    group_headings,
    heading,
    table,
    two_line_cell,
)
from medkd.reports.number_texts import (
    NO_VALUE,
    interval_text,
    number_text,
    p_text,
    score_digits,
    seconds_text,
)
from medkd.reports.score_columns import class_ending, score_column
from medkd.reports.tables import (
    calibration_columns,
    main_columns,
    main_scores,
    region_columns,
    score_table_column,
    structure_columns,
    uncertainty_columns,
)
from medkd.reports.volume_grid import in_voxels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medkd.reports.comparisons import Comparison
    from medkd.reports.evaluation_results import EvaluationResults, MethodResult
    from medkd.reports.score_columns import ScoreColumn
    from medkd.reports.tables import TableColumn

__all__ = [
    "calibration_table",
    "case_table",
    "class_table",
    "cost_table",
    "difference_cells",
    "difference_table",
    "main_table",
    "region_table",
    "structure_table",
    "uncertainty_table",
]

_LEVEL = 0.05
_CASE_DIGITS = 4
_WIDE = 4


def main_table(results: EvaluationResults) -> str:
    """Dice, of volumes HD95, MCC, ECE, Brier, NLL, parameters and seconds per case.

    Args:
        results: what to show.

    Returns:
        HTML.
    """
    css_class = "" if results.grid is None else "small"  # there is a column more
    return _method_table(results, main_columns(results), css_class=css_class)


def calibration_table(results: EvaluationResults) -> str:
    """Every calibration score that some method has, in the main region.

    Args:
        results: what to show.

    Returns:
        HTML; empty if there is none.
    """
    return _method_table(results, calibration_columns(results), css_class="small")


def uncertainty_table(results: EvaluationResults) -> str:
    """Every score of the uncertainty that some method has, in the main region.

    Args:
        results: what to show.

    Returns:
        HTML; empty if there is none.
    """
    return _method_table(results, uncertainty_columns(results), css_class="small")


def region_table(results: EvaluationResults) -> str:
    """ECE, Brier and NLL in each region but the main one.

    Args:
        results: what to show.

    Returns:
        HTML; empty if there is no other region.
    """
    groups = {
        region.capitalize(): columns
        for region in results.regions
        if region != results.main_region and (columns := region_columns(results, region))
    }
    columns = [column for group in groups.values() for column in group]
    above = group_headings({name: len(group) for name, group in groups.items()})
    return _method_table(results, columns, above=above)


def class_table(results: EvaluationResults, score: ScoreColumn) -> str:
    """One score of every class: a row a class, a column a method, the best of each row shaded.

    Args:
        results: what to show.
        score: such as Dice.

    Returns:
        HTML; empty if no class has the score.
    """
    rows = []
    for name in results.class_names:
        ending = class_ending(name)
        if f"{score.metric}{ending}" in results.metrics:
            column = score_table_column(results.methods, score, ending)
            rows.append(f"<tr>{heading(name)}{''.join(map(cell, column.cells))}</tr>")
    styles = method_styles(results.methods)
    titles = "".join(heading(m.title, color=styles[m.name].color) for m in results.methods)
    return table(f"<tr><th>Class</th>{titles}</tr>", rows, css_class="small") if rows else ""


def structure_table(results: EvaluationResults) -> str:
    """The scores of the one structure of volumes, in the main region.

    Args:
        results: what to show.

    Returns:
        HTML; empty if there is none.
    """
    return _method_table(results, structure_columns(results), css_class="small")


def difference_cells(comparisons: Sequence[Comparison], name: str, score: ScoreColumn) -> str:
    """Two cells: difference with interval, p with corrected p.

    Args:
        comparisons: those of one column, which have as many digits.
        name: of the one to show.
        score: what was compared.

    Returns:
        HTML; shaded where the difference is no chance.
    """
    row = next((comparison for comparison in comparisons if comparison.method == name), None)
    if row is None:
        return two_line_cell(NO_VALUE) * 2
    digits = score.digits
    if digits is None:
        digits = score_digits(comparison.difference.mean for comparison in comparisons)
    mean = row.difference.mean
    shade = ""
    if row.corrected_p_value < _LEVEL:
        shade = "best" if (mean > 0) == score.higher_is_better else "worse"
    difference = number_text(mean, digits, sign="+")
    return two_line_cell(
        difference, interval_text(row.interval, digits), css_class=shade
    ) + two_line_cell(p_text(row.p_value), p_text(row.corrected_p_value))


def difference_table(
    methods: Sequence[MethodResult],
    comparisons: Mapping[str, Sequence[Comparison]],
    *,
    ending: str = "",
) -> str:
    """Mean difference from the reference and p for each metric.

    Args:
        methods: the rows; those that were not compared are left out.
        comparisons: by metric id; not empty.
        ending: what the metric ids end in.

    Returns:
        HTML.
    """
    scores = {metric: score_column(metric.removesuffix(ending)) for metric in comparisons}
    above = group_headings({score.title: 2 for score in scores.values()})
    head = f"{above}<tr><th>Method</th>{'<th>Difference</th><th>p</th>' * len(scores)}</tr>"
    styles = method_styles(methods)
    shown = {row.method for group in comparisons.values() for row in group}
    rows = []
    for method in methods:
        if method.name in shown:
            cells = "".join(
                difference_cells(comparisons[metric], method.name, score)
                for metric, score in scores.items()
            )
            rows.append(f"<tr>{heading(method.title, color=styles[method.name].color)}{cells}</tr>")
    return table(head, rows, css_class="small" if len(scores) > _WIDE else "")


def cost_table(results: EvaluationResults) -> str:
    """Parameters, passes, multiply-adds, seconds, memory and training time.

    Args:
        results: what to show.

    Returns:
        HTML.
    """
    styles = method_styles(results.methods)
    head = "".join(f"<th>{title}</th>" for title in COST_HEADINGS)
    rows = [
        f"<tr>{heading(method.title, color=styles[method.name].color)}"
        f"{''.join(map(two_line_cell, texts))}</tr>"
        for method, texts in zip(results.methods, cost_rows(results), strict=True)
    ]
    return table(f"<tr><th>Method</th>{head}</tr>", rows, css_class="small")


def case_table(results: EvaluationResults) -> str:
    """A row for each case and method, with the scores of the main table.

    Args:
        results: what to show.

    Returns:
        HTML.
    """
    scores = main_scores(results)
    titles = [*(score.title for score in scores), "Seconds"]
    head = "<tr><th>Case</th><th>Method</th>"
    head += "".join(f"<th>{title}</th>" for title in titles) + "</tr>"
    ending = results.regions[results.main_region]
    rows = [
        _case_row(method, case_id, scores, ending)
        for case_id in results.case_ids
        for method in results.methods
    ]
    return table(head, rows, css_class="small")


def _method_table(
    results: EvaluationResults,
    columns: Sequence[TableColumn],
    *,
    above: str = "",
    css_class: str = "",
) -> str:
    if not columns:
        return ""
    columns = [
        replace(one, meaning=in_voxels(one.meaning, is_volume=results.is_volume)) for one in columns
    ]
    styles = method_styles(results.methods)
    head = f"{above}<tr><th>Method</th>{column_headings(columns)}</tr>"
    rows = [
        f"<tr>{heading(method.title, color=styles[method.name].color)}"
        f"{''.join(cell(column.cells[row]) for column in columns)}</tr>"
        for row, method in enumerate(results.methods)
    ]
    return table(head, rows, css_class=css_class)


def _case_row(
    method: MethodResult, case_id: str, scores: Sequence[ScoreColumn], ending: str
) -> str:
    texts = []
    for score in scores:
        value = method.scores[case_id].get(f"{score.metric}{ending}", math.nan)
        digits = _CASE_DIGITS if score.digits is None else score.digits
        texts.append(f"{value:.{digits}f}" if math.isfinite(value) else NO_VALUE)
    texts.append(seconds_text(method.seconds_per_case[case_id]))
    cells = "".join(map(two_line_cell, texts))
    return f"<tr>{heading(case_id)}{heading(method.title)}{cells}</tr>"
