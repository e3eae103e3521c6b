"""Dice of every case by every method, so that a mean never hides a case."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from medkd.reports.case_statistics import case_statistics
from medkd.reports.figure_style import FIGURE_WIDTH, INK, MUTED, method_styles, render
from medkd.reports.score_columns import score_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medkd.reports.evaluation_results import EvaluationResults

__all__ = ["plot_case_scores", "sorted_case_ids"]

_HEIGHT = 3.9
_MAX_LABELS = 40
_MAX_LABEL_LENGTH = 16
_DODGE = 0.55
_LEGEND_COLUMNS = 4
_MAX_NUMBERS = 6


def plot_case_scores(results: EvaluationResults, *, metric: str = "dice") -> bytes:
    """Cases from worst to best with a mark for each method, and each method's mean and spread.

    Args:
        results: what to show.
        metric: which score.

    Returns:
        Content of the PNG file.
    """
    case_ids = sorted_case_ids(results, metric)

    def draw(figure: Figure) -> None:
        widths = (4.6, max(1.0, 0.25 * len(results.methods)))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=widths)
        _draw_cases(left, results, case_ids, metric)
        _draw_means(right, results, metric)
        left.set_ylabel(score_title(metric))
        right.set_title("mean ± spread", loc="left", fontweight="normal", color=MUTED)
        handles, titles = left.get_legend_handles_labels()
        columns = min(_LEGEND_COLUMNS, len(titles))
        figure.legend(handles, titles, loc="outside upper left", ncols=columns)

    return render(draw, width=FIGURE_WIDTH, height=_HEIGHT)


def sorted_case_ids(results: EvaluationResults, metric: str) -> list[str]:
    """Cases from worst to best by the student's score, or the last method's; unscored ones last.

    Args:
        results: whose cases.
        metric: which score, higher is better.

    Returns:
        Every case id.
    """
    method = results.method("student") or results.methods[-1]
    scores = method.values(metric)

    def key(case_id: str) -> tuple[bool, float]:
        value = scores[case_id]
        return (math.isnan(value), 0.0 if math.isnan(value) else value)

    return sorted(scores, key=key)


def _draw_cases(
    axes: Axes, results: EvaluationResults, case_ids: Sequence[str], metric: str
) -> None:
    methods, styles = results.methods, method_styles(results.methods)
    step = _DODGE / len(methods)
    values = np.array([[method.values(metric)[name] for name in case_ids] for method in methods])
    offsets = (np.arange(len(methods)) - (len(methods) - 1) / 2) * step
    positions = np.arange(len(case_ids)) + offsets[:, None]
    axes.plot(positions, values, color=MUTED, linewidth=0.8, alpha=0.6, zorder=2)
    size, edge = (7, 0.7) if len(case_ids) <= _MAX_LABELS else (3.5, 0.0)
    for method, x, y in zip(methods, positions, values, strict=True):
        style = styles[method.name]
        axes.plot(
            x,
            y,
            linestyle="none",
            marker=style.marker,
            markersize=size,
            color=style.color,
            markeredgecolor="white",
            markeredgewidth=edge,
            label=method.title,
            zorder=3,
        )
    axes.grid(visible=False, axis="x")
    axes.set_xlim(-0.6, len(case_ids) - 0.4)
    axes.margins(y=0.08)
    if len(case_ids) > _MAX_LABELS:
        axes.set_xlabel(f"{len(case_ids)} cases, worst to best")
        axes.set_xticks([])
        return
    labels = [_shortened(case_id) for case_id in case_ids]
    is_crowded = len(case_ids) * max(map(len, labels)) > 90
    axes.set_xticks(
        range(len(case_ids)),
        labels=labels,
        rotation=40 if is_crowded else 0,
        ha="right" if is_crowded else "center",
        rotation_mode="anchor",
    )


def _draw_means(axes: Axes, results: EvaluationResults, metric: str) -> None:
    styles = method_styles(results.methods)
    for index, method in enumerate(results.methods):
        statistics = case_statistics(method.values(metric).values())
        if not math.isfinite(statistics.mean):
            continue
        style = styles[method.name]
        axes.errorbar(
            index,
            statistics.mean,
            yerr=statistics.std if math.isfinite(statistics.std) else None,
            color=style.color,
            marker=style.marker,
            markersize=8,
            markeredgecolor="white",
            capsize=4,
            linewidth=1.4,
        )
        if len(results.methods) > _MAX_NUMBERS:
            continue
        axes.annotate(
            f"{statistics.mean:.3f}",
            (index, statistics.mean),
            xytext=(7, 0),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=8.5,
            color=INK,
        )
    axes.grid(visible=False, axis="x")
    axes.set_xlim(-0.5, len(results.methods) - 0.1)
    axes.set_xticks([])
    axes.tick_params(labelleft=False)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_LABEL_LENGTH else f"{text[: _MAX_LABEL_LENGTH - 1]}…"
