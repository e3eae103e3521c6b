"""How each method degrades: its scores over the strength of a shift, or over data sets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.ticker import MaxNLocator

from medkd.reports.case_statistics import case_statistics
from medkd.reports.confidence_interval import bootstrap_interval
from medkd.reports.figure_style import FIGURE_WIDTH, MUTED, method_styles, render
from medkd.reports.score_columns import COMPARED_METRICS, score_column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medkd.reports.evaluation_results import MethodResult
    from medkd.reports.stored_report import StoredReport

__all__ = ["plot_data_sets", "plot_shift", "shown_metrics"]

_ROW_HEIGHT = 2.6
_LEGEND_HEIGHT = 0.6
_LEGEND_COLUMNS = 4
_DODGE = 0.5
_LONGEST = 18


def plot_shift(kinds: Mapping[str, Mapping[int, StoredReport]]) -> bytes:
    """A column of panels for each kind of shift, a row for each score, a line for each method.

    Args:
        kinds: kind to strength to report, strength 0 for images as they are.

    Returns:
        Content of the PNG file.
    """
    reports = [report for strengths in kinds.values() for report in strengths.values()]
    metrics, methods = shown_metrics(reports), _methods(reports)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(len(metrics), len(kinds), sharey="row", squeeze=False)
        for index, (row, metric) in enumerate(zip(panels, metrics, strict=True)):
            for axes, (kind, strengths) in zip(row, kinds.items(), strict=True):
                _draw_lines(axes, methods, strengths, metric)
                if index == 0:
                    axes.set_title(kind)
                if index == len(metrics) - 1:
                    axes.set_xlabel("strength (0: as they are)" if 0 in strengths else "strength")
            _name_axis(row[0], metric)
        _draw_legend(figure, panels[0, 0])

    height = _ROW_HEIGHT * len(metrics) + _LEGEND_HEIGHT
    return render(draw, width=FIGURE_WIDTH, height=height)


def plot_data_sets(reports: Sequence[StoredReport]) -> bytes:
    """A panel for each score: a mark with its interval for each method in each data set.

    Args:
        reports: of one run, each of another data set.

    Returns:
        Content of the PNG file.
    """
    metrics, methods = shown_metrics(reports), _methods(reports)
    num_columns = min(len(metrics), 2)
    num_rows = -(-len(metrics) // num_columns)

    def draw(figure: Figure) -> None:
        panels = figure.subplots(num_rows, num_columns, squeeze=False)
        for axes in panels.flat[len(metrics) :]:
            axes.set_visible(False)
        for axes, metric in zip(panels.flat, metrics, strict=False):
            _draw_marks(axes, methods, reports, metric)
            _name_axis(axes, metric)
        _draw_legend(figure, panels[0, 0])

    height = _ROW_HEIGHT * num_rows + _LEGEND_HEIGHT
    return render(draw, width=FIGURE_WIDTH, height=height)


def shown_metrics(reports: Sequence[StoredReport]) -> list[str]:
    """Which scores the figures have something for.

    Args:
        reports: those of a figure.

    Returns:
        Ids among Dice, ECE, NLL and AURC.
    """
    return [
        metric
        for metric in COMPARED_METRICS
        if any(
            math.isfinite(case_statistics(method.values(metric).values()).mean)
            for report in reports
            for method in report.methods
        )
    ]


def _methods(reports: Sequence[StoredReport]) -> list[MethodResult]:
    """Every method of some report, once."""
    return list({method.name: method for r in reports for method in r.methods}.values())


def _draw_lines(
    axes: Axes,
    methods: Sequence[MethodResult],
    strengths: Mapping[int, StoredReport],
    metric: str,
) -> None:
    styles = method_styles(methods)
    for method in methods:
        found = {
            strength: there
            for strength, report in sorted(strengths.items())
            if (there := report.method(method.name)) is not None
        }
        style = styles[method.name]
        means = [case_statistics(there.values(metric).values()).mean for there in found.values()]
        axes.plot(
            list(found),
            means,
            color=style.color,
            linestyle=style.line,
            marker=style.marker,
            markersize=5,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=method.title,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_marks(
    axes: Axes, methods: Sequence[MethodResult], reports: Sequence[StoredReport], metric: str
) -> None:
    styles = method_styles(methods)
    for index, method in enumerate(methods):
        style = styles[method.name]
        offset = (index - (len(methods) - 1) / 2) * _DODGE / len(methods)
        found = [report.method(method.name) for report in reports]
        values = [[] if there is None else list(there.values(metric).values()) for there in found]
        means = [case_statistics(row).mean for row in values]
        places = [place + offset for place in range(len(reports))]
        axes.plot(
            places,
            means,
            color=style.color,
            linestyle="none",
            marker=style.marker,
            markersize=6,
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=method.title,
            zorder=3,
        )
        for place, row in zip(places, values, strict=True):
            if (interval := bootstrap_interval(row)) is not None:
                axes.plot([place] * 2, [interval.low, interval.high], color=style.color)
    names = [f"{report.dataset}, {report.split}" for report in reports]
    short = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]
    axes.set_xticks(range(len(reports)), labels=short)
    axes.set_xlim(-0.6, len(reports) - 0.4)
    axes.grid(visible=False, axis="x")


def _name_axis(axes: Axes, metric: str) -> None:
    score = score_column(metric)
    axes.set_ylabel(f"{score.title}, {'higher' if score.higher_is_better else 'lower'} is better")
    axes.yaxis.label.set_color(MUTED)


def _draw_legend(figure: Figure, axes: Axes) -> None:
    handles, titles = axes.get_legend_handles_labels()
    columns = min(_LEGEND_COLUMNS, len(titles))
    figure.legend(handles, titles, loc="outside upper left", ncols=columns)
