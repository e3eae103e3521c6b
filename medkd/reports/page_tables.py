"""The report's tables as HTML."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from medkd.reports.figure_style import method_styles
from medkd.reports.score_columns import SCORES
from medkd.reports.tables import NO_VALUE, main_columns, region_columns, seconds_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medkd.reports.evaluation_results import EvaluationResults, MethodResult
    from medkd.reports.figure_style import MethodStyle
    from medkd.reports.tables import TableCell, TableColumn

__all__ = ["case_table", "main_table", "region_table"]


def main_table(results: EvaluationResults) -> str:
    """A row a method; Dice, MCC, ECE, Brier, NLL, parameters and seconds per case.

    Args:
        results: what to show.

    Returns:
        HTML.
    """
    columns = main_columns(results)
    head = f"<tr><th>Method</th>{_headings(columns)}</tr>"
    return _table(head, _method_rows(results, columns))


def region_table(results: EvaluationResults) -> str:
    """A row a method; ECE, Brier and NLL in each region but the main one.

    Args:
        results: what to show.

    Returns:
        HTML; empty if there is no other region.
    """
    groups = {
        region: columns
        for region in results.regions
        if region != results.main_region and (columns := region_columns(results, region))
    }
    if not groups:
        return ""
    columns = [column for group in groups.values() for column in group]
    names = "".join(
        f'<th class="group" colspan="{len(group)}">{escape(region.capitalize())}</th>'
        for region, group in groups.items()
    )
    head = f'<tr><th class="blank"></th>{names}</tr>'
    head += f"<tr><th>Method</th>{_headings(columns)}</tr>"
    return _table(head, _method_rows(results, columns))


def case_table(results: EvaluationResults) -> str:
    """A row for each case and method, with the scores of the main table.

    Args:
        results: what to show.

    Returns:
        HTML.
    """
    titles = [*(score.title for score in SCORES), "Seconds"]
    head = "<tr><th>Case</th><th>Method</th>"
    head += "".join(f"<th>{title}</th>" for title in titles) + "</tr>"
    ending = results.regions[results.main_region]
    rows = [
        _case_row(method, case_id, ending)
        for case_id in results.case_ids
        for method in results.methods
    ]
    return _table(head, rows, css_class="small")


def _table(head: str, rows: Sequence[str], css_class: str = "") -> str:
    body = "\n".join(rows)
    return (
        f'<div class="scroll"><table class="{css_class}">\n<thead>{head}</thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _headings(columns: Sequence[TableColumn]) -> str:
    return "".join(
        f'<th title="{"higher" if column.higher_is_better else "lower"} is better">'
        f"{escape(column.title[0].upper() + column.title[1:])} {column.arrow}</th>"
        for column in columns
    )


def _method_rows(results: EvaluationResults, columns: Sequence[TableColumn]) -> list[str]:
    styles = method_styles(results.methods)
    return [
        f"<tr>{_row_head(method, styles)}{''.join(_cell(c.cells[row]) for c in columns)}</tr>"
        for row, method in enumerate(results.methods)
    ]


def _row_head(method: MethodResult, styles: Mapping[str, MethodStyle]) -> str:
    color = styles[method.name].color
    swatch = f'<span class="swatch" style="background: {color}"></span>'
    return f"<th>{swatch}{escape(method.title)}</th>"


def _cell(cell: TableCell) -> str:
    spread = f' <span class="spread">± {cell.spread}</span>' if cell.spread else ""
    css_class = ' class="best"' if cell.is_best else ""
    return f"<td{css_class}>{cell.mean}{spread}</td>"


def _case_row(method: MethodResult, case_id: str, ending: str) -> str:
    scores = [method.scores[case_id].get(f"{score.metric}{ending}", math.nan) for score in SCORES]
    texts = [f"{value:.4f}" if math.isfinite(value) else NO_VALUE for value in scores]
    texts.append(seconds_text(method.seconds_per_case[case_id]))
    cells = "".join(f"<td>{text}</td>" for text in texts)
    return f"<tr><th>{escape(case_id)}</th><th>{escape(method.title)}</th>{cells}</tr>"
