"""Where the members of a method disagree, beside the errors that were made and the uncertainty."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps

from medkd.errors import InvalidValueError
from medkd.reports.case_overlays import cropped_to_mask, error_picture, shown_image
from medkd.reports.figure_style import FIGURE_WIDTH, UNSCORED, hide_frame, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from medkd.reports.evaluation_results import CasePicture, EvaluationResults

__all__ = ["pictures_with_members", "plot_disagreement"]

_PLANE = "axial"
_COLUMNS = 4
_MAPS = ("uncertainty", "disagreement")  # in the last columns
_PANEL_WIDTH, _TITLE_HEIGHT, _KEY_HEIGHT = 2.75, 0.3, 0.55
_TALLEST, _FLATTEST = 1.2, 0.3
_TOP_SHARE = 99.5  # percent of the pixels within the scale
_LEAST_SCALE = 1e-3  # nats


def pictures_with_members(results: EvaluationResults) -> list[CasePicture]:
    """The pictures that can be shown with the disagreement of members.

    Args:
        results: what to show.

    Returns:
        One picture a case: of a volume, its axial plane.
    """
    return [
        picture
        for picture in results.pictures
        if picture.disagreement is not None and picture.methods and picture.plane in ("", _PLANE)
    ]


def plot_disagreement(results: EvaluationResults) -> bytes:
    r"""A row for each case: image, errors of the last method, its uncertainty, the disagreement.

    Uncertainty has the scale of all figures, from 0 to :math:`\log C`; the disagreement, which is
    a part of it and often a small one, has its own, the same in all rows.

    Args:
        results: with pictures that have a disagreement.

    Returns:
        Content of the PNG file.

    Raises:
        ValueError: if there is no such picture.
    """
    pictures = [cropped_to_mask(picture) for picture in pictures_with_members(results)]
    if not pictures:
        raise InvalidValueError(
            "Expected `pictures` with the disagreement of members, but got none."
        )
    heights = [_PANEL_WIDTH * _ratio(picture) + _TITLE_HEIGHT for picture in pictures]
    scales = (math.log(len(results.class_names)), _top(pictures))

    def draw(figure: Figure) -> None:
        ratios = [*heights, _KEY_HEIGHT]
        grid = figure.add_gridspec(len(ratios), _COLUMNS, height_ratios=ratios)
        for row, picture in enumerate(pictures):
            panels = [figure.add_subplot(grid[row, column]) for column in range(_COLUMNS)]
            maps = _draw_case(panels, results, picture, scales)
        for column, (values, name) in enumerate(zip(maps, _MAPS, strict=True), start=2):
            _draw_scale(figure.add_subplot(grid[-1, column]), values, f"{name} (nats)")

    return render(draw, width=FIGURE_WIDTH, height=sum(heights) + _KEY_HEIGHT)


def _ratio(picture: CasePicture) -> float:
    height, width = picture.label.shape
    return min(max(picture.pixel_aspect * height / width, _FLATTEST), _TALLEST)


def _top(pictures: Sequence[CasePicture]) -> float:
    """What few pixels exceed, so that a single wild one does not make all others black."""
    maps = [_disagreement(picture) for picture in pictures]
    finite = [values[np.isfinite(values)] for values in maps]
    tops = [float(np.percentile(values, _TOP_SHARE)) for values in finite if values.size]
    return max([_LEAST_SCALE, *tops])


def _disagreement(picture: CasePicture) -> np.ndarray:
    return np.zeros(picture.label.shape) if picture.disagreement is None else picture.disagreement


def _draw_case(
    panels: Sequence[Axes],
    results: EvaluationResults,
    picture: CasePicture,
    scales: tuple[float, float],
) -> list[AxesImage]:
    name = list(picture.methods)[-1]
    prediction, uncertainty = picture.methods[name]
    method = results.method(name)
    title = name if method is None else method.title
    panels[0].set_title(f"{picture.title} case: {picture.case_id}")
    panels[0].imshow(shown_image(picture.image), cmap="gray", vmin=0, vmax=1)
    panels[1].set_title(f"errors of the {title}")
    panels[1].imshow(error_picture(picture.image, picture.label, prediction, picture.mask))
    panels[2].set_title("its uncertainty")
    panels[3].set_title("disagreement of the members")
    hidden = np.zeros(picture.label.shape, bool) if picture.mask is None else ~picture.mask
    colors = colormaps["magma"].with_extremes(bad=UNSCORED)
    drawn = []
    for axes, values, top in zip(
        panels[2:], (uncertainty, _disagreement(picture)), scales, strict=True
    ):
        shown = np.ma.masked_array(values, hidden | ~np.isfinite(values))
        drawn.append(axes.imshow(shown, cmap=colors, vmin=0, vmax=top))
    for axes in panels:
        hide_frame(axes)
        axes.set_aspect(picture.pixel_aspect)
    return drawn


def _draw_scale(axes: Axes, values: AxesImage, label: str) -> None:
    hide_frame(axes)
    place = axes.inset_axes((0.04, 0.62, 0.92, 0.3))
    bar = axes.figure.colorbar(values, cax=place, orientation="horizontal")
    bar.set_label(label, labelpad=1)
    bar.outline.set_visible(False)
