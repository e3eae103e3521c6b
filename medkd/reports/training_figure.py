"""Training curves: every loss term and validation metric of every network, over epochs."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from medkd.errors import InvalidValueError
from medkd.reports.figure_style import FIGURE_WIDTH, render
from medkd.reports.score_columns import score_title

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medkd.reports.evaluation_results import EvaluationResults

__all__ = ["curve_names", "needs_logarithm", "plot_training_curves"]

_COLUMNS = (3, 4)
_ROW_HEIGHT = 2.75
_KNOWN_COLORS = {
    "member": "#0072b2",
    "teacher": "#0072b2",
    "labels-only network": "#7b8794",
    "student": "#d55e00",
}
_ENTROPY = "predictive_entropy"
_MIN_DECADES = 1.0
_OTHER_COLORS = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7b8794", "#4b3f91")


def plot_training_curves(results: EvaluationResults) -> bytes:
    """A panel for each quantity, a line for each network.

    Networks whose names differ in a number only (``member 0``, ``member 1``) share a color and an
    entry in the legend.

    Args:
        results: what to show. Values that are not finite leave a gap.

    Returns:
        Content of the PNG file.

    Raises:
        ValueError: if no history has a quantity.
    """
    quantities = curve_names(results.histories)
    if not quantities:
        raise InvalidValueError("Expected `histories` with a quantity over epochs, but got none.")
    groups = [_group(network) for network in results.histories]
    colors = _colors(groups)
    # The width that leaves the fewest places of the last row empty.
    num_columns = min(_COLUMNS, key=lambda columns: -len(quantities) % columns)
    num_rows = -(-len(quantities) // num_columns)

    def draw(figure: Figure) -> None:
        for index, quantity in enumerate(quantities):
            axes = figure.add_subplot(num_rows, num_columns, index + 1)
            axes.set_title(_title(quantity))
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            if index + num_columns >= len(quantities):
                axes.set_xlabel("epoch")
            for group, rows in zip(groups, results.histories.values(), strict=True):
                is_alone = groups.count(group) == 1
                _draw_line(axes, rows, quantity, color=colors[group], is_alone=is_alone)
            if needs_logarithm(results.histories, quantity):
                axes.set_yscale("log")
                axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
                axes.yaxis.set_minor_formatter(NullFormatter())
        _draw_legend(figure, groups, colors)

    return render(draw, width=FIGURE_WIDTH, height=num_rows * _ROW_HEIGHT + 0.35)


def curve_names(histories: Mapping[str, Sequence[Mapping[str, float]]]) -> list[str]:
    """Quantities with a finite value somewhere.

    Args:
        histories: network name to rows.

    Returns:
        Losses first, then entropy and validation scores, the learning rate last.
    """
    found: dict[str, None] = {}
    for rows in histories.values():
        for row in rows:
            found.update((name, None) for name, value in row.items() if math.isfinite(value))
    for name in ("epoch", "seconds"):  # what a row is of, and what it cost: no curves
        found.pop(name, None)
    return sorted(found, key=_rank)


def needs_logarithm(histories: Mapping[str, Sequence[Mapping[str, float]]], quantity: str) -> bool:
    """Whether one high value would flatten all others: a first NLL of 34 before many of 0.1.

    Args:
        histories: network name to rows.
        quantity: its name.

    Returns:
        Whether it is a loss, a loss term or an NLL of positive values over more than a decade.
    """
    if quantity in ("learning_rate", _ENTROPY):
        return False
    if quantity.startswith("val_") and "nll" not in quantity:
        return False
    every = (row.get(quantity, math.nan) for rows in histories.values() for row in rows)
    values = [value for value in every if math.isfinite(value)]
    if not values or min(values) <= 0:
        return False
    return math.log10(max(values) / min(values)) > _MIN_DECADES


def _rank(quantity: str) -> int:
    """Sorting is stable, so equal ranks keep their order of appearance."""
    if quantity == "loss":
        return 0
    if quantity == "learning_rate":
        return 4
    if quantity == _ENTROPY:
        return 2
    return 3 if quantity.startswith("val_") else 1


def _title(quantity: str) -> str:
    if quantity == "loss":
        return "training loss"
    if quantity == "learning_rate":
        return "learning rate"
    if quantity == _ENTROPY:
        return "predictive entropy (nats)"
    if quantity.startswith("val_"):
        return f"validation {score_title(quantity.removeprefix('val_'))}"
    return f"loss term: {quantity.replace('_', ' ')}"


def _group(network: str) -> str:
    return re.sub(r"[\s_-]*\d+$", "", network) or network


def _colors(groups: Sequence[str]) -> dict[str, str]:
    others = [name for name in dict.fromkeys(groups) if name not in _KNOWN_COLORS]
    cycle = {name: _OTHER_COLORS[i % len(_OTHER_COLORS)] for i, name in enumerate(others)}
    return {**_KNOWN_COLORS, **cycle}


def _draw_line(
    axes: Axes, rows: Sequence[Mapping[str, float]], quantity: str, *, color: str, is_alone: bool
) -> None:
    points = [
        (row.get("epoch", float(index + 1)), row[quantity])
        for index, row in enumerate(rows)
        if quantity in row
    ]
    if not points:
        return
    axes.plot(
        *zip(*points, strict=True),
        color=color,
        linewidth=1.9 if is_alone else 1.1,
        alpha=1.0 if is_alone else 0.55,
        zorder=3 if is_alone else 2,
        marker="o" if len(points) == 1 else "",
        markersize=4,
    )


def _draw_legend(figure: Figure, groups: Sequence[str], colors: Mapping[str, str]) -> None:
    entries = [
        Line2D(
            [],
            [],
            color=colors[group],
            linewidth=2.2,
            label=group if groups.count(group) == 1 else f"{group}s ({groups.count(group)})",
        )
        for group in dict.fromkeys(groups)
    ]
    figure.legend(handles=entries, loc="outside upper left", ncols=len(entries))
