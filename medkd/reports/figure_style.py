"""One look for all figures: fonts, inks, and colors that color-blind readers can tell apart."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

    from medkd.reports.evaluation_results import MethodResult

__all__ = [
    "CLASS_COLORS",
    "DPI",
    "ERROR_COLORS",
    "FIGURE_WIDTH",
    "INK",
    "MUTED",
    "TRUST_COLORS",
    "UNSCORED",
    "MethodStyle",
    "hide_frame",
    "method_styles",
    "render",
]

FIGURE_WIDTH = 11.5
"""Width of a full-width figure, in inches."""

INK = "#1f2933"
MUTED = "#6b7785"
UNSCORED = "#c6cfd8"
"""Pixels outside the mask."""

_GRID = "#e3e7eb"
DPI = 160
"""Pixels an inch in the PNG files."""

# M. Okabe, K. Ito. Color universal design, 2008, without the yellow, which is too faint on white.
# A method and its temperature-scaled form share a hue, and so do the baselines and the ensembles of
# bundles that have no method in common.
_KNOWN: dict[str, tuple[str, str, Literal["-", "--"]]] = {
    "single": ("#7b8794", "o", "-"),
    "single_temperature": ("#000000", "o", "--"),
    "test_time_augmentation": ("#009e73", "^", "-"),
    "mc_dropout": ("#cc79a7", "v", "-"),
    "deep_ensemble": ("#0072b2", "s", "-"),
    "deep_ensemble_temperature": ("#56b4e9", "s", "--"),
    "labels_only": ("#7b8794", "o", "-"),
    "labels_only_temperature": ("#000000", "o", "--"),
    "teacher": ("#0072b2", "s", "-"),
    "teacher_temperature": ("#56b4e9", "s", "--"),
    "peer_ensemble": ("#0072b2", "s", "-"),
    "peer_ensemble_temperature": ("#56b4e9", "s", "--"),
    "student": ("#d55e00", "D", "-"),
    "student_temperature": ("#e69f00", "D", "--"),
    "student_as_shipped": ("#e69f00", "D", "--"),
}
_PALETTE = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#4b3f91", "#999933", "#000000")
_MARKERS = ("P", "X", "<", ">", "*", "p", "h", "^", "v", "d")

CLASS_COLORS = (
    "#17202a",
    "#f5f7fa",
    "#009e73",
    "#f0e442",
    "#9d7be0",
    "#a0522d",
    "#8fe3dd",
    "#5c7a29",
)
"""By class index, the background first; classes beyond the last start again at the third. None is
like one of the error colors, which stand beside them."""

ERROR_COLORS = {
    "correct": "#9c9c9c",
    "false positive": "#ff8c1a",
    "missed": "#2fb0ff",
    "wrong class": "#f06eb4",
}
"""What is right is gray like the image below it, so that what is wrong stands out, in two hues that
color-blind readers can tell apart."""

TRUST_COLORS = {
    "wrong and sure": "#ff2d55",
    "wrong but unsure": "#19c3c3",
    "right but unsure": "#7a7440",
}
"""The error that nobody is warned of has the loudest color; a false alarm the most quiet."""

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlepad": 7,
    "axes.labelsize": 9,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#b5bec8",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "xtick.color": "#b5bec8",
    "ytick.color": "#b5bec8",
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    "figure.facecolor": "white",
}


@dataclass(frozen=True)
class MethodStyle:
    """How a method is drawn in every figure and marked in every table."""

    color: str
    marker: str
    line: Literal["-", "--"]


def method_styles(methods: Sequence[MethodResult]) -> dict[str, MethodStyle]:
    """Color and marker of each method.

    Args:
        methods: those of the report.

    Returns:
        By method name: fixed for those that medkd's bundles evaluate, so that they look alike in
        all reports; by position for others. Up to ten methods of one bundle are distinct.
    """
    styles = {m.name: MethodStyle(*_KNOWN[m.name]) for m in methods if m.name in _KNOWN}
    taken = {style.color for style in styles.values()}
    colors = [color for color in _PALETTE if color not in taken]
    others = [method.name for method in methods if method.name not in _KNOWN]
    for index, name in enumerate(others):
        marker = _MARKERS[index % len(_MARKERS)]
        styles[name] = MethodStyle(colors[index % len(colors)], marker, "-")
    return styles


def render(draw: Callable[[Figure], None], *, width: float, height: float) -> bytes:
    """Draw a figure in the report's style, without touching matplotlib's global state for long.

    Args:
        draw: fills the figure.
        width: in inches.
        height: in inches.

    Returns:
        The PNG file's content, the same for the same drawing.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        draw(figure)
        canvas.draw()
    buffer = io.BytesIO()
    # Opaque and packed tightly, a figure with photographs is an eighth smaller.
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    pixels.save(buffer, "png", optimize=True, dpi=(DPI, DPI))
    return buffer.getvalue()


def hide_frame(axes: Axes) -> None:
    """Leave only what is drawn: no ticks, spines or grid."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
