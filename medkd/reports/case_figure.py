"""One case: image, label, and each method's prediction, errors and uncertainty side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from medkd.reports.case_overlays import (
    class_color,
    class_picture,
    cropped_to_mask,
    error_picture,
    shown_image,
    trust_picture,
)
from medkd.reports.figure_style import (
    ERROR_COLORS,
    FIGURE_WIDTH,
    MUTED,
    TRUST_COLORS,
    UNSCORED,
    hide_frame,
    render,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from medkd.reports.evaluation_results import CasePicture, EvaluationResults

__all__ = ["plot_case"]

_COLUMNS = 5
_TALLEST, _FLATTEST = 1.6, 0.3
_PANEL_WIDTH, _TITLE_HEIGHT = 2.2, 0.5
_KEY_HEIGHT, _KEY_ROW_HEIGHT = 0.55, 0.2
_SHOWN = ("deep_ensemble", "labels_only", "student")
_NUM_SHOWN = 2
_UNSURE = 0.5  # share of the highest entropy
_BINARY = 2
_MAX_CLASSES = 7
_CLASSES_A_ROW = 4
_SIDES = ((0.05, 0.5), (0.95, 0.5), (0.5, 0.95), (0.5, 0.05))
_OUTLINE = withStroke(linewidth=2, foreground="black")


def plot_case(results: EvaluationResults, picture: CasePicture) -> bytes:
    r"""Image above label at the left; then a row for the reference and one for the student.

    A row holds the prediction, its errors, the uncertainty, and uncertainty against error: which
    errors the method was unsure of. A pixel is unsure above half of the highest entropy,
    :math:`\tfrac{1}{2} \log C`. Uncertainty has one scale in all figures of a report, from 0 to
    :math:`\log C`, so that colors can be compared between methods and cases. The reference is the
    ensemble or, without it, the network on labels alone; where reference or student is missing,
    the picture's first two methods are shown.

    Args:
        results: names and scores for the headings.
        picture: the case.

    Returns:
        Content of the PNG file.
    """
    picture = cropped_to_mask(picture)
    known = [name for name in _SHOWN if name in picture.methods]
    names = list(picture.methods)[:_NUM_SHOWN]
    if len(known) >= _NUM_SHOWN:
        names = [known[0], known[-1]]
    num_rows = _NUM_SHOWN
    height, width = picture.label.shape
    ratio = min(max(picture.pixel_aspect * height / width, _FLATTEST), _TALLEST)
    panel_height = _PANEL_WIDTH * ratio + _TITLE_HEIGHT
    num_class_rows = len(_class_rows(picture)) if len(results.class_names) > _BINARY else 0
    key_height = _KEY_HEIGHT + _KEY_ROW_HEIGHT * num_class_rows
    heights = [*([panel_height] * num_rows), key_height]

    def draw(figure: Figure) -> None:
        grid = figure.add_gridspec(num_rows + 1, _COLUMNS, height_ratios=heights)
        panels = np.array(
            [
                [figure.add_subplot(grid[row, column]) for column in range(_COLUMNS)]
                for row in range(num_rows)
            ]
        )
        for axes in panels.flat:
            hide_frame(axes)
        _draw_case(panels[:2, 0], picture)
        for row, name in zip(panels[:, 1:], names, strict=False):
            uncertainty = _draw_method(row, results, picture, name)
        for axes in panels.flat:
            axes.set_aspect(picture.pixel_aspect)
        if names:
            _draw_scale(figure.add_subplot(grid[-1, -1]), uncertainty)
        _draw_key(figure.add_subplot(grid[-1, :-1]), results, picture)

    return render(draw, width=FIGURE_WIDTH, height=sum(heights))


def _draw_case(panels: np.ndarray, picture: CasePicture) -> None:
    panels[0].set_title("image")
    panels[0].imshow(shown_image(picture.image), cmap="gray", vmin=0, vmax=1)
    _name_sides(panels[0], picture.sides)
    panels[1].set_title("label")
    panels[1].imshow(class_picture(picture.label, picture.mask), interpolation_stage="rgba")


def _name_sides(axes: Axes, sides: Sequence[str]) -> None:
    """Letters for what lies to the left, right, top and bottom, as on a radiologist's screen."""
    for letter, (x, y) in zip(sides, _SIDES, strict=False):
        text = axes.text(x, y, letter, transform=axes.transAxes, ha="center", va="center")
        text.set(color="white", fontweight="bold", path_effects=[_OUTLINE])


def _draw_method(
    panels: np.ndarray, results: EvaluationResults, picture: CasePicture, name: str
) -> AxesImage:
    prediction, uncertainty = picture.methods[name]
    panels[0].imshow(class_picture(prediction, picture.mask), interpolation_stage="rgba")
    panels[1].imshow(error_picture(picture.image, picture.label, prediction, picture.mask))
    panels[3].imshow(
        trust_picture(
            picture.image,
            prediction != picture.label,
            uncertainty,
            picture.mask,
            threshold=_UNSURE * math.log(len(results.class_names)),
        )
    )
    _name_row(panels, results, picture.case_id, name)
    hidden = np.zeros_like(uncertainty, dtype=bool) if picture.mask is None else ~picture.mask
    colors = colormaps["magma"].with_extremes(bad=UNSCORED)
    return panels[2].imshow(
        np.ma.masked_array(uncertainty, hidden | ~np.isfinite(uncertainty)),
        cmap=colors,
        vmin=0,
        vmax=math.log(len(results.class_names)),
    )


def _name_row(panels: np.ndarray, results: EvaluationResults, case_id: str, name: str) -> None:
    method = results.method(name)
    dice = float("nan") if method is None else method.values("dice").get(case_id, float("nan"))
    panels[0].set_title(f"{name if method is None else method.title}:\nprediction")
    panels[1].set_title("errors" if math.isnan(dice) else f"errors (Dice {dice:.3f})")
    panels[2].set_title("uncertainty")
    panels[3].set_title("uncertainty against error")


def _draw_scale(axes: Axes, uncertainty: AxesImage) -> None:
    hide_frame(axes)
    place = axes.inset_axes((0.04, 0.62, 0.92, 0.3))
    bar = axes.figure.colorbar(uncertainty, cax=place, orientation="horizontal")
    bar.set_label("uncertainty (nats)", labelpad=1)
    bar.outline.set_visible(False)


def _draw_key(axes: Axes, results: EvaluationResults, picture: CasePicture) -> None:
    hide_frame(axes)
    is_binary = len(results.class_names) == _BINARY
    kinds = [kind for kind in ERROR_COLORS if not (is_binary and kind == "wrong class")]
    errors = [_patch(ERROR_COLORS[kind], kind) for kind in kinds]
    if picture.mask is not None:
        errors.append(_patch(UNSCORED, "not scored"))
    rows = [errors, [_patch(color, kind) for kind, color in TRUST_COLORS.items()]]
    if not is_binary:
        rows += [
            [_patch(class_color(index), _class_name(results, index)) for index in classes]
            for classes in _class_rows(picture)
        ]
    for index, row in enumerate(rows):
        if (earlier := axes.get_legend()) is not None:
            axes.add_artist(earlier)  # a second legend replaces the first otherwise
        place = (0, 1 - (index + 0.5) / len(rows))
        axes.legend(handles=row, loc="center left", bbox_to_anchor=place, ncols=max(len(row), 1))


def _class_rows(picture: CasePicture) -> list[list[int]]:
    """Classes to name in the key, so many a row; at least one row, if an empty one."""
    maps = [picture.label, *(prediction for prediction, _ in picture.methods.values())]
    shown = np.unique(np.concatenate([classes[classes > 0] for classes in maps])).tolist()
    shown = shown[:_MAX_CLASSES]
    return [shown[i : i + _CLASSES_A_ROW] for i in range(0, max(len(shown), 1), _CLASSES_A_ROW)]


def _patch(color: str, text: str) -> Patch:
    return Patch(facecolor=color, edgecolor=MUTED, linewidth=0.6, label=text)


def _class_name(results: EvaluationResults, class_index: int) -> str:
    names = results.class_names
    return names[class_index] if class_index < len(names) else f"class {class_index}"
