"""Reliability diagrams: is a method right as often as it is confident?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from medkd.errors import InvalidValueError
from medkd.reports.figure_style import FIGURE_WIDTH, MUTED, method_styles, render
from medkd.reports.volume_grid import in_voxels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medkd.functional import ReliabilityBins
    from medkd.reports.evaluation_results import EvaluationResults

__all__ = ["ReliabilityCurve", "plot_reliability", "pooled_curve"]

_MAX_COLUMNS = 4
_PANEL_WIDTH = FIGURE_WIDTH / 3
_PANEL_HEIGHT = 5.0


@dataclass(frozen=True)
class ReliabilityCurve:
    """What one diagram shows: the bins of all cases together.

    Attributes:
        share: percent of the pixels in each bin, ``(num_bins,)``.
        accuracy: share of them that is right, in ``[0, 1]``; NaN in an empty bin.
        confidence: their mean confidence, in ``[0, 1]``; NaN in an empty bin.
        error: expected calibration error of all pixels together.
        total: number of pixels.
    """

    share: np.ndarray
    accuracy: np.ndarray
    confidence: np.ndarray
    error: float
    total: int


def plot_reliability(results: EvaluationResults, region: str) -> bytes:
    """One diagram a method, with the share of pixels in each bin below it on a log scale.

    Args:
        results: what to show.
        region: a key of ``results.regions``; methods without bins there are left out.

    Returns:
        Content of the PNG file.

    Raises:
        ValueError: if no method has a pixel in the region.
    """
    curves = {
        method.name: curve
        for method in results.methods
        if (curve := pooled_curve(method.reliability.get(region))) is not None
    }
    if not curves:
        raise InvalidValueError(f"Expected `reliability` of {region} in some method, but got none.")
    titles = {method.name: method.title for method in results.methods}
    styles = method_styles(results.methods)
    low = _lowest(curves, len(results.class_names))
    floor = _floor(curves)
    num_columns = min(len(curves), _MAX_COLUMNS)
    num_rows = -(-len(curves) // num_columns)
    panel_width = min(_PANEL_WIDTH, FIGURE_WIDTH / num_columns)

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(num_rows, num_columns)
        for index, (name, curve) in enumerate(curves.items()):
            cell = grid[divmod(index, num_columns)].subgridspec(2, 1, height_ratios=(3.4, 1))
            above = figure.add_subplot(cell[0])
            below = figure.add_subplot(cell[1])
            _draw_curve(above, curve, styles[name].color, low)
            _name_numbers(above, curve, in_voxels("pixels", is_volume=results.is_volume))
            _draw_shares(below, curve, styles[name].color, low, floor)
            above.set_title(titles[name])
            if index % num_columns == 0:
                above.set_ylabel("accuracy")
                below.set_ylabel(in_voxels("% of pixels", is_volume=results.is_volume))

    height = num_rows * _PANEL_HEIGHT * panel_width / _PANEL_WIDTH
    return render(draw, width=num_columns * panel_width, height=height)


def pooled_curve(bins: ReliabilityBins | None) -> ReliabilityCurve | None:
    """Pool the bins of all cases.

    Args:
        bins: of ``B`` cases.

    Returns:
        The curve; ``None`` without bins or without a pixel in them.
    """
    if bins is None:
        return None
    pooled = bins.pooled()
    count = pooled.count[0].cpu().double().numpy()
    correct = pooled.correct[0].cpu().double().numpy()
    confidence_sum = pooled.confidence_sum[0].cpu().numpy()
    if count.sum() == 0:
        return None
    known = np.where(count > 0, count, np.nan)
    return ReliabilityCurve(
        share=100 * count / count.sum(),
        accuracy=correct / known,
        confidence=confidence_sum / known,
        error=float(np.abs(correct - confidence_sum).sum() / count.sum()),
        total=int(count.sum()),
    )


def _lowest(curves: dict[str, ReliabilityCurve], num_classes: int) -> float:
    """Where the axes begin: no top class is less likely than one in ``num_classes``."""
    accuracy = min(float(np.nanmin(curve.accuracy)) for curve in curves.values())
    confidence = min(float(np.nanmin(curve.confidence)) for curve in curves.values())
    lowest = min(1 / num_classes, accuracy, confidence)
    return max(0.0, np.floor(lowest * 10) / 10)


def _floor(curves: dict[str, ReliabilityCurve]) -> float:
    """Where the axes of shares begin: a decade below the smallest, the same for all methods."""
    smallest = min(float(curve.share[curve.share > 0].min()) for curve in curves.values())
    return float(10 ** np.floor(np.log10(smallest / 2)))


def _name_numbers(axes: Axes, curve: ReliabilityCurve, unit: str) -> None:
    axes.text(
        0.04,
        0.86,
        f"ECE {curve.error:.4f}\n{_short(curve.total)} {unit}",
        transform=axes.transAxes,
        verticalalignment="top",
        fontsize=9.5,
    )


def _draw_curve(axes: Axes, curve: ReliabilityCurve, color: str, low: float) -> None:
    filled = np.isfinite(curve.accuracy)
    confidence, accuracy = curve.confidence[filled], curve.accuracy[filled]
    axes.plot([low, 1], [low, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.fill_between(confidence, confidence, accuracy, color=color, alpha=0.18, linewidth=0)
    axes.plot(confidence, accuracy, color=color, marker="o", markersize=5, markeredgecolor="white")
    _note(axes, 0.04, 0.96, "too cautious", vertical="top")
    _note(axes, 0.97, 0.04, "too confident", horizontal="right")
    margin = 0.02 * (1 - low)
    axes.set(xlim=(low - margin, 1 + margin), ylim=(low - margin, 1 + margin))
    axes.xaxis.set_major_locator(_unit_ticks())
    axes.yaxis.set_major_locator(_unit_ticks())
    axes.tick_params(labelbottom=False)


def _draw_shares(axes: Axes, curve: ReliabilityCurve, color: str, low: float, floor: float) -> None:
    num_bins = len(curve.share)
    edges = np.arange(num_bins) / num_bins
    axes.bar(edges, curve.share, width=0.88 / num_bins, align="edge", color=color, alpha=0.55)
    margin = 0.02 * (1 - low)
    axes.set(xlim=(low - margin, 1 + margin), yscale="log", ylim=(floor, 150), xlabel="confidence")
    ticks = [10**power for power in range(int(np.log10(floor)), 3)]
    axes.set_yticks(ticks[:: -(-len(ticks) // 4)])
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()
    axes.xaxis.set_major_locator(_unit_ticks())


def _unit_ticks() -> MaxNLocator:
    return MaxNLocator(6, steps=[1, 2, 5, 10])


def _note(
    axes: Axes, x: float, y: float, text: str, *, horizontal: str = "left", vertical: str = "bottom"
) -> None:
    axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        horizontalalignment=horizontal,
        verticalalignment=vertical,
        fontsize=8.5,
        fontstyle="italic",
        color=MUTED,
    )


def _short(count: int) -> str:
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.3g} {letter}"
    return str(count)
