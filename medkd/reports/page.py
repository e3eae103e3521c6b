"""The report of one evaluation, section by section."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.reports.comparison_words import chance_statement
from medkd.reports.comparisons import compare_methods, reference_method
from medkd.reports.cost_table import COST_HEADINGS
from medkd.reports.page_layout import (
    definitions,
    figure_block,
    folded,
    note,
    page,
    section,
    statement,
)
from medkd.reports.page_tables import (
    calibration_table,
    case_table,
    cost_table,
    difference_table,
    main_table,
    region_table,
    uncertainty_table,
)
from medkd.reports.score_columns import (
    CALIBRATION_SCORES,
    SUMMARY_SCORES,
    UNCERTAINTY_SCORES,
)
from medkd.reports.structure_sections import class_section, pair_section
from medkd.reports.summary_statement import summary_statement
from medkd.reports.tables import (
    calibration_columns,
    main_columns,
    main_scores,
    uncertainty_columns,
)
from medkd.reports.volume_grid import in_distance_unit, in_voxels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from medkd.reports.evaluation_results import EvaluationResults
    from medkd.reports.report_figures import ReportFigure
    from medkd.reports.score_columns import ScoreColumn
    from medkd.reports.tables import TableColumn

__all__ = ["report_page"]

_REGION_NOTE = (
    "Plain background makes any calibration look good, so a figure over all pixels flatters. The "
    "band holds the pixels round the label's edge, where segmentations differ and where errors are "
    "made."
)
_GRID_NOTE = (
    "Everything here is measured on the grid that the networks see, resampled to {}: distances are "
    "in millimeters, and a label that is finer than that is not seen at its full resolution."
)
_MEMBERS = "members differ by"
_COST_NOTE = "A dash stands for what was not measured."


def report_page(results: EvaluationResults, figures: Sequence[ReportFigure]) -> str:
    """Lay out the page.

    Args:
        results: what to show.
        figures: already drawn; they are embedded.

    Returns:
        HTML. Every name that comes from the results is escaped.
    """
    drawn: dict[str, list[str]] = {}
    for figure in figures:
        drawn.setdefault(figure.section, []).append(figure_block(figure))
    cases = folded("Scores of every case", case_table(results))
    sections = [
        statement(summary_statement(results)),
        _scores(results),
        _differences(results),
        pair_section(results),
        section("Case by case", *drawn.get("cases", []), cases),
        _calibration(results, drawn.get("reliability", [])),
        _uncertainty(results, drawn.get("risk", [])),
        class_section(results),
        section(
            "What it costs", cost_table(results), note(_COST_NOTE), _terms(results, COST_HEADINGS)
        ),
        _figures("Training", drawn.get("training", [])),
        _figures("Cases to look at", drawn.get("pictures", [])),
    ]
    if results.settings:
        settings = definitions(results.settings, "settings")
        sections.append(section("How it was made", settings))
    return page(
        kind="evaluation report",
        heading=results.dataset,
        subtitle=_subtitle(results),
        content=in_distance_unit("\n".join(part for part in sections if part), results.grid),
        footer="The numbers of this page lie beside it in metrics.json, metrics.csv and cases.csv, "
        "its figures as PNG files.",
    )


def _subtitle(results: EvaluationResults) -> str:
    num_cases = len(results.case_ids)
    cases = f"{num_cases} case{'' if num_cases == 1 else 's'}"
    shift = "" if results.shift is None else f" · images with {'{} {}'.format(*results.shift)}"
    grid = "" if results.grid is None else f" · scored at {results.grid.text}"
    names = ", ".join(results.class_names)
    differ = results.settings.get(_MEMBERS)
    members = f" · {_MEMBERS} {differ}" if differ else ""
    return f"{results.split} split · {cases} · classes: {names}{shift}{grid}{members}"


def _scores(results: EvaluationResults) -> str:
    below = ", below it its 95% bootstrap interval" if len(results.case_ids) > 1 else ""
    text = (
        f"Mean over cases{below}, in the {results.main_region}. Arrows point to the better "
        "direction; the best of a column is shaded, and so is what equals it to the digits shown. "
    )
    return "\n".join(
        [
            main_table(results),
            note(text + _missing(results)),
            *([] if results.grid is None else [note(_GRID_NOTE.format(results.grid.text))]),
            _meanings(results, main_scores(results), main_columns(results)),
        ]
    )


def _missing(results: EvaluationResults) -> str:
    """Which scores some cases do not have: their means are over fewer cases."""
    ending = results.regions[results.main_region]
    counts = {}
    for method in results.methods:
        for score in main_scores(results):
            values = method.values(f"{score.metric}{ending}").values()
            counts[f"{score.title} of {method.title}"] = sum(value != value for value in values)
    missing = [f"{name}: {count}" for name, count in counts.items() if count]
    if not missing:
        return ""
    return f"Cases without a score, left out of its mean: {', '.join(missing)}."


def _differences(results: EvaluationResults) -> str:
    comparisons = compare_methods(results)
    reference = reference_method(results)
    if not comparisons or reference is None:
        return ""
    return section(
        f"Differences from the {reference.title}",
        difference_table(results.methods, comparisons, ending=results.regions[results.main_region]),
        note(chance_statement(comparisons)),
    )


def _calibration(results: EvaluationResults, figures: Sequence[str]) -> str:
    words = _meanings(results, CALIBRATION_SCORES, calibration_columns(results))
    content = [calibration_table(results), words, *figures]
    if regions := region_table(results):
        content += ["<h3>Calibration in other regions</h3>", regions, note(_band_words(results))]
    return section("Can the confidence be trusted?", *content)


def _band_words(results: EvaluationResults) -> str:
    words = in_voxels(_REGION_NOTE, is_volume=results.is_volume)
    if results.grid is None:
        return words
    grid = results.grid
    return f"{words} Here it is {grid.band_radius:g} {grid.distance_unit} wide to either side."


def _uncertainty(results: EvaluationResults, figures: Sequence[str]) -> str:
    table = uncertainty_table(results)
    if table:
        columns = uncertainty_columns(results)
        table += _meanings(results, (*UNCERTAINTY_SCORES, *SUMMARY_SCORES), columns)
    if not table and not figures:
        return ""
    return section("Does uncertainty find the errors?", table, *figures)


def _figures(heading: str, figures: Sequence[str]) -> str:
    return section(heading, *figures) if figures else ""


def _meanings(
    results: EvaluationResults, scores: Iterable[ScoreColumn], columns: Iterable[TableColumn]
) -> str:
    """What the scores of some columns mean."""
    titles = {column.title for column in columns}
    shown = {score.title: score.meaning for score in scores if score.title in titles}
    return _terms(results, shown)


def _terms(results: EvaluationResults, entries: Mapping[str, str]) -> str:
    words = {
        title: in_voxels(meaning, is_volume=results.is_volume) for title, meaning in entries.items()
    }
    return folded("What the columns mean", definitions(words))
