"""One case: image, label, and each method's prediction, errors and uncertainty side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Patch

from medkd.reports.case_overlays import (
    class_color,
    class_picture,
    cropped_to_mask,
    error_picture,
    shown_image,
)
from medkd.reports.figure_style import (
    ERROR_COLORS,
    FIGURE_WIDTH,
    INK,
    MUTED,
    UNSCORED,
    hide_frame,
    render,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from medkd.reports.evaluation_results import CasePicture, EvaluationResults

__all__ = ["plot_case"]

_COLUMNS = 4
_TALLEST, _FLATTEST = 1.6, 0.3
_LEGEND_HEIGHT = 0.75
_BINARY = 2


def plot_case(results: EvaluationResults, picture: CasePicture) -> bytes:
    """Image above label at the left; then a row of prediction, errors and uncertainty each method.

    Uncertainty has one scale in all figures of a report, from 0 to the logarithm of the number of
    classes, so that colors can be compared between methods and cases.

    Args:
        results: names and scores for the headings.
        picture: the case.

    Returns:
        Content of the PNG file.
    """
    picture = cropped_to_mask(picture)
    num_rows = max(len(picture.methods), 2)
    height, width = picture.label.shape
    ratio = min(max(height / width, _FLATTEST), _TALLEST)
    panel_height = FIGURE_WIDTH / _COLUMNS * 0.96 * ratio + 0.3

    def draw(figure: Figure) -> None:
        panels = figure.subplots(num_rows, _COLUMNS, squeeze=False)
        for axes in panels.flat:
            hide_frame(axes)
        _draw_case(panels[:2, 0], picture)
        for index, name in enumerate(picture.methods):
            uncertainty = _draw_method(panels[index, 1:], results, picture, name)
            if index == 0:
                for axes, title in zip(panels[0, 1:], _TITLES, strict=True):
                    axes.set_title(title)
        if picture.methods:
            bar = figure.colorbar(uncertainty, ax=panels[:, -1], shrink=0.85, aspect=30, pad=0.03)
            bar.set_label("uncertainty (nats)")
            bar.outline.set_visible(False)
        _draw_legend(figure, results, picture)

    return render(draw, width=FIGURE_WIDTH, height=num_rows * panel_height + _LEGEND_HEIGHT)


_TITLES = ("prediction", "errors", "uncertainty")


def _draw_case(panels: np.ndarray, picture: CasePicture) -> None:
    panels[0].set_title("image")
    panels[0].imshow(shown_image(picture.image), cmap="gray", vmin=0, vmax=1)
    panels[1].set_title("label")
    panels[1].imshow(class_picture(picture.label, picture.mask), interpolation_stage="rgba")


def _draw_method(
    panels: np.ndarray, results: EvaluationResults, picture: CasePicture, name: str
) -> AxesImage:
    prediction, uncertainty = picture.methods[name]
    panels[0].imshow(class_picture(prediction, picture.mask), interpolation_stage="rgba")
    panels[1].imshow(error_picture(picture.image, picture.label, prediction, picture.mask))
    _name_row(panels[0], results, picture.case_id, name)
    hidden = np.zeros_like(uncertainty, dtype=bool) if picture.mask is None else ~picture.mask
    colors = colormaps["magma"].with_extremes(bad=UNSCORED)
    return panels[2].imshow(
        np.ma.masked_array(uncertainty, hidden | ~np.isfinite(uncertainty)),
        cmap=colors,
        vmin=0,
        vmax=math.log(len(results.class_names)),
    )


def _name_row(axes: Axes, results: EvaluationResults, case_id: str, name: str) -> None:
    method = results.method(name)
    dice = float("nan") if method is None else method.values("dice").get(case_id, float("nan"))
    score = "" if math.isnan(dice) else f"   Dice {dice:.3f}"
    title = name if method is None else method.title
    axes.set_ylabel(f"{title}{score}", color=INK, fontsize=10, fontweight="bold", labelpad=6)


def _draw_legend(figure: Figure, results: EvaluationResults, picture: CasePicture) -> None:
    is_binary = len(results.class_names) == _BINARY
    kinds = [kind for kind in ERROR_COLORS if not (is_binary and kind == "wrong class")]
    entries = [_patch(ERROR_COLORS[kind], kind) for kind in kinds]
    if not is_binary:
        shown = np.unique(picture.label[picture.label > 0])
        entries += [_patch(class_color(int(c)), _class_name(results, int(c))) for c in shown]
    if picture.mask is not None:
        entries.append(_patch(UNSCORED, "not scored"))
    figure.legend(handles=entries, loc="outside lower center", ncols=min(len(entries), 6))


def _patch(color: str, text: str) -> Patch:
    return Patch(facecolor=color, edgecolor=MUTED, linewidth=0.6, label=text)


def _class_name(results: EvaluationResults, class_index: int) -> str:
    names = results.class_names
    return names[class_index] if class_index < len(names) else f"class {class_index}"
