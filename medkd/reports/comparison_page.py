"""Several runs on one page: their scores, how they differ, and how they degrade under shift."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from medkd.reports.comparison_groups import compare_runs, data_sets
from medkd.reports.comparison_words import chance_statement
from medkd.reports.figure_style import method_styles
from medkd.reports.html_table import cell, column_headings, heading, table
from medkd.reports.page_layout import definitions, figure_block, folded, note, page, section
from medkd.reports.page_tables import difference_table
from medkd.reports.score_columns import SCORES, score_column
from medkd.reports.tables import score_table_column, size_and_time_columns
from medkd.reports.volume_grid import in_voxels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.reports.report_figures import ReportFigure
    from medkd.reports.stored_report import StoredReport

__all__ = ["comparison_page"]

_SCORES = (*SCORES, score_column("aurc"))
_SCORES_NOTE = (
    "Mean over cases, below it its 95% bootstrap interval, in the main region of each report. "
    "Arrows point to the better direction; the best of a column is shaded, and so is what equals "
    "it to the digits shown."
)


def comparison_page(
    reports: Sequence[StoredReport], baseline: str, figures: Sequence[ReportFigure]
) -> str:
    """Lay out the page.

    Args:
        reports: of all runs.
        baseline: the run that others are compared with.
        figures: already drawn; they are embedded.

    Returns:
        HTML. Every name that comes from the reports is escaped.
    """
    runs = list(dict.fromkeys(report.run for report in reports))
    sections = []
    for (dataset, split), group in data_sets(reports).items():
        content = [_scores(group), *_differences(group, baseline)]
        sections.append(section(f"{dataset}, {split} split", *content))
    if figures:
        drawn = [figure_block(figure) for figure in figures]
        sections.append(section("How each predictor degrades", *drawn))
    sections.append(section("What was compared", definitions(_contents(reports), "settings")))
    return page(
        kind="comparison of runs",
        heading=runs[0] if len(runs) == 1 else f"{len(runs)} runs",
        subtitle=", ".join(runs) if len(runs) > 1 else f"{len(reports)} data sets",
        content="\n".join(sections),
        footer="The numbers of this page lie beside it in comparison.csv, its figures as PNG "
        "files.",
    )


def _scores(reports: Sequence[StoredReport]) -> str:
    methods = [method for report in reports for method in report.methods]
    runs = [report.run for report in reports for _ in report.methods]
    known = {metric for method in methods for row in method.scores.values() for metric in row}
    shown = [score for score in _SCORES if score.metric in known]
    columns = [score_table_column(methods, score) for score in shown]
    columns += size_and_time_columns(methods)
    styles = method_styles(methods)
    has_runs = len(reports) > 1
    rows = []
    for index, method in enumerate(methods):
        run = heading(runs[index]) if has_runs else ""
        name = heading(method.title, color=styles[method.name].color)
        cells = "".join(cell(column.cells[index]) for column in columns)
        rows.append(f"<tr>{run}{name}{cells}</tr>")
    first = "<th>Run</th>" if has_runs else ""
    head = f'<tr>{first}<th class="left">Method</th>'
    head += f"{column_headings(columns)}</tr>"
    is_volume = "hd95" in known
    meanings = {score.title: in_voxels(score.meaning, is_volume=is_volume) for score in shown}
    words = folded("What the columns mean", definitions(meanings))
    return "\n".join([table(head, rows, css_class="small"), note(_SCORES_NOTE), words])


def _differences(reports: Sequence[StoredReport], baseline: str) -> list[str]:
    base = next((report for report in reports if report.run == baseline), None)
    others = [report for report in reports if report.run != baseline]
    if not others:
        return []
    if base is None:
        return [note(f"{baseline} has no report here, so that nothing is compared with it.")]
    parts = []
    for report in others:
        title = f"<h3>{escape(f'{report.run} minus {baseline}')}</h3>"
        if report.case_ids != base.case_ids:
            words = f"{report.run} and {baseline} are on different cases: no paired test is made."
            parts.append(title + note(words))
        elif comparisons := compare_runs(report, base):
            rows = difference_table(report.methods, comparisons)
            parts.append(title + rows + note(chance_statement(comparisons)))
        else:
            words = f"{report.run} and {baseline} have no method in common."
            parts.append(title + note(words))
    return parts


def _contents(reports: Sequence[StoredReport]) -> dict[str, str]:
    """What each run has reports on, the strengths of one shift in one breath."""
    contents: dict[str, dict[str, None]] = {}
    for report in reports:
        name = report.clean_dataset
        if report.shift is not None:
            kind = report.shift[0]
            strengths = (r.shift[1] for r in reports if _is_alike(r, report) and r.shift)
            name += f", {kind} {', '.join(map(str, sorted(strengths)))}"
        words = f"{name} ({report.split}, {len(report.case_ids)} cases)"
        contents.setdefault(report.run, {})[words] = None
    return {run: "; ".join(names) for run, names in contents.items()}


def _is_alike(one: StoredReport, other: StoredReport) -> bool:
    if one.shift is None or other.shift is None or one.shift[0] != other.shift[0]:
        return False
    return (one.run, one.clean_dataset, one.split) == (other.run, other.clean_dataset, other.split)
