"""Risk over coverage: how many errors remain if the most uncertain pixels are set aside?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D

from medkd.errors import InvalidValueError
from medkd.functional import area_under_risk_coverage, risk_coverage_curve
from medkd.reports.figure_style import FIGURE_WIDTH, INK, MUTED, method_styles, render
from medkd.reports.volume_grid import in_voxels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from medkd.functional import ErrorBins
    from medkd.reports.evaluation_results import EvaluationResults
    from medkd.reports.figure_style import MethodStyle

__all__ = ["RiskCurve", "plot_risk_coverage", "pooled_risk_curve"]

_HEIGHT = 4.6
_NUM_POINTS = 401
_CLOSE_UP = 0.8
_DECADES = 1e-4
_LEGEND_COLUMNS = 4
_COVERAGE = "coverage: share of the pixels that is kept, the surest first"
_HEADING = "method (AURC of all pixels together)"


@dataclass(frozen=True)
class RiskCurve:
    """What one line shows: the pixels of all cases together.

    Attributes:
        coverage: share of the pixels that is kept, increasing to 1, ``(num_points,)``.
        risk: percent of them that is wrong, ``(num_points,)``; NaN where none is kept.
        area: area under the risk-coverage curve, in ``[0, 1]``.
    """

    coverage: np.ndarray
    risk: np.ndarray
    area: float

    @property
    def error_rate(self) -> float:
        """Percent of all pixels that is wrong."""
        return float(self.risk[-1])


def plot_risk_coverage(results: EvaluationResults) -> bytes:
    """A line a method in the main region: over all coverages, and close up on the last fifth.

    The dashed line is the least that any ranking could reach with the lowest error rate shown: all
    errors set aside first.

    Args:
        results: what to show; methods without error bins are left out.

    Returns:
        Content of the PNG file.

    Raises:
        ValueError: if no method has a pixel in the main region.
    """
    region = results.main_region
    curves = {
        method.name: curve
        for method in results.methods
        if (curve := pooled_risk_curve(method.errors.get(region))) is not None
    }
    if not curves:
        raise InvalidValueError(f"Expected `errors` of {region} in some method, but got none.")
    styles = method_styles(results.methods)
    titles = {method.name: method.title for method in results.methods}

    def draw(figure: Figure) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1))
        for axes in (left, right):
            _draw_curves(axes, curves, styles)
            axes.set_xlabel(in_voxels(_COVERAGE, is_volume=results.is_volume))
        left.set(xlim=(0, 1))
        if any(curve.error_rate > 0 for curve in curves.values()):
            left.set(yscale="log", ylim=(_lowest_risk(curves), None))
            left.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        left.set_ylabel("risk: % of them that is wrong")
        left.set_title("all coverages, logarithmic", loc="left")
        right.set(xlim=(_CLOSE_UP, 1), ylim=(0, None))
        right.set_title("the last fifth, linear", loc="left")
        heading = in_voxels(_HEADING, is_volume=results.is_volume)
        _draw_legend(figure, curves, styles, titles, heading)

    return render(draw, width=FIGURE_WIDTH, height=_HEIGHT)


def pooled_risk_curve(bins: ErrorBins | None) -> RiskCurve | None:
    """Pool the bins of all cases, and thin the curve out to what a figure can show.

    Args:
        bins: of ``B`` cases.

    Returns:
        The curve; ``None`` without bins or without a pixel in them.
    """
    if bins is None:
        return None
    pooled = bins.pooled()
    if int((pooled.right + pooled.wrong).sum()) == 0:
        return None
    coverage, risk = (values[0].cpu().numpy() for values in risk_coverage_curve(pooled))
    wanted = np.linspace(0, 1, _NUM_POINTS)
    # Between two bins, their pixels are ties: the risk there is what it is at the next bin's end.
    places = np.minimum(np.searchsorted(coverage, wanted), len(coverage) - 1)
    first = max(float(coverage[coverage > 0][0]), wanted[1])
    return RiskCurve(
        coverage=wanted,
        risk=np.where(wanted >= first, 100 * risk[places], np.nan),
        area=float(area_under_risk_coverage(pooled).item()),
    )


def _draw_curves(axes: Axes, curves: dict[str, RiskCurve], styles: dict[str, MethodStyle]) -> None:
    for name, curve in curves.items():
        style = styles[name]
        axes.plot(curve.coverage, curve.risk, color=style.color, linestyle=style.line)
    lowest = min(curve.error_rate for curve in curves.values())
    coverage = next(iter(curves.values())).coverage[1:]
    # Of the pixels kept, only those beyond the share of right ones are wrong.
    oracle = np.maximum(0, 100 - (100 - lowest) / coverage)
    axes.plot(coverage, np.where(oracle > 0, oracle, np.nan), color=MUTED, linestyle=(0, (2, 2)))


def _draw_legend(
    figure: Figure,
    curves: dict[str, RiskCurve],
    styles: dict[str, MethodStyle],
    titles: dict[str, str],
    heading: str,
) -> None:
    entries = [
        Line2D(
            [],
            [],
            color=styles[name].color,
            linestyle=styles[name].line,
            label=f"{titles[name]} ({curve.area:.5f})",
        )
        for name, curve in curves.items()
    ]
    entries.append(Line2D([], [], color=MUTED, linestyle=(0, (2, 2)), label="best possible"))
    legend = figure.legend(
        handles=entries,
        loc="outside upper left",
        ncols=min(_LEGEND_COLUMNS, len(entries)),
        title=heading,
        title_fontsize=8.5,
        alignment="left",
    )
    legend.get_title().set_color(INK)


def _lowest_risk(curves: dict[str, RiskCurve]) -> float:
    """Where the logarithmic axis begins: at the smallest risk, at most four decades down."""
    positive = np.concatenate([curve.risk[curve.risk > 0] for curve in curves.values()])
    highest = max(curve.error_rate for curve in curves.values())
    return float(max(positive.min() * 0.8, highest * _DECADES))
