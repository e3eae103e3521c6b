"""Rows and cells as an HTML table; the only place that writes its tags."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medkd.reports.tables import TableCell, TableColumn

__all__ = ["cell", "column_headings", "group_headings", "heading", "table", "two_line_cell"]


def table(head: str, rows: Sequence[str], *, css_class: str = "") -> str:
    """A table that scrolls sideways where it is too wide.

    Args:
        head: rows of the head, HTML.
        rows: rows of the body, HTML.
        css_class: ``"small"`` for tight rows.

    Returns:
        HTML.
    """
    body = "\n".join(rows)
    return (
        f'<div class="scroll"><table class="{css_class}">\n<thead>{head}</thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def column_headings(columns: Sequence[TableColumn]) -> str:
    """Headings with an arrow towards better.

    Args:
        columns: what they head.

    Returns:
        HTML, without the row's tags.
    """
    return "".join(
        f'<th title="{escape(column.meaning or _better(column))}">'
        f"{escape(column.title[0].upper() + column.title[1:])}&nbsp;{column.arrow}</th>"
        for column in columns
    )


def group_headings(groups: Mapping[str, int]) -> str:
    """A row of headings over several columns each, after an empty first one.

    Args:
        groups: heading to number of columns.

    Returns:
        HTML.
    """
    names = "".join(
        f'<th class="group" colspan="{size}">{escape(name)}</th>' for name, size in groups.items()
    )
    return f'<tr><th class="blank"></th>{names}</tr>'


def heading(text: str, *, color: str = "") -> str:
    """The first cell of a row.

    Args:
        text: plain text.
        color: of the square before it; none if empty.

    Returns:
        HTML.
    """
    if not color:
        return f"<th>{escape(text)}</th>"
    swatch = f'<span class="swatch" style="background: {color}"></span>'
    return f'<th class="marked">{swatch}{escape(text)}</th>'


def cell(content: TableCell) -> str:
    """A mean with its interval below it, shaded where it is the best.

    Args:
        content: the cell.

    Returns:
        HTML.
    """
    return two_line_cell(content.mean, content.interval, css_class="best" * content.is_best)


def two_line_cell(text: str, below: str = "", *, css_class: str = "") -> str:
    """A number with a smaller one below it.

    Args:
        text: plain text.
        below: plain text.
        css_class: ``"best"`` or ``"worse"`` for a shade.

    Returns:
        HTML.
    """
    small = f' <span class="spread">{escape(below)}</span>' if below else ""
    attribute = f' class="{css_class}"' if css_class else ""
    return f"<td{attribute}>{escape(text)}{small}</td>"


def _better(column: TableColumn) -> str:
    return f"{'higher' if column.higher_is_better else 'lower'} is better"
