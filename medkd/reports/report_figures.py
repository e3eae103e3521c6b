"""All figures of a report, drawn in memory before anything is written."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.reports.case_figure import plot_case
from medkd.reports.case_scores_figure import plot_case_scores
from medkd.reports.disagreement_figure import pictures_with_members, plot_disagreement
from medkd.reports.figure_style import DPI, FIGURE_WIDTH
from medkd.reports.reliability_figure import plot_reliability
from medkd.reports.risk_coverage_figure import plot_risk_coverage
from medkd.reports.training_figure import curve_names, plot_training_curves
from medkd.reports.volume_grid import in_voxels

if TYPE_CHECKING:
    from medkd.reports.evaluation_results import CasePicture, EvaluationResults

__all__ = ["ReportFigure", "draw_figures"]

_PAGE_PIXELS = 1080
_PNG_WIDTH = slice(16, 20)

# Background makes every method look calibrated: the diagram of all pixels would say nothing.
_NOT_DRAWN = "_all"
_RELIABILITY = (
    "Of the pixels predicted with some confidence, the share that is right. On the dashed line, "
    "confidence can be taken at its word; below it, the method is too confident. The bars are the "
    "share of pixels that each point stands for, on a logarithmic scale. The ECE here is that of "
    "all cases' pixels together; the tables average over cases. Where several networks are "
    "judged one by one, every pixel counts as often as there are networks."
)
_RISK = (
    "If the most uncertain pixels are set aside for a person to look at, how many of the others "
    "are wrong? Lower is better. The dashed line sets all errors aside first, at the lowest error "
    "rate shown: no uncertainty does better. The AURC here is that of all pixels together; the "
    "tables average over cases."
)
_PICTURE = (
    "Errors are drawn over the dimmed image. Uncertainty is the entropy of the prediction, on one "
    "scale for all cases and methods: good uncertainty is bright where the errors are. At the "
    "right, a pixel counts as unsure above half of the highest entropy: an error that is sure is "
    "one that nobody is warned of."
)

_CURVES = (
    "The training loss is what is minimized; losses of networks that are trained on different "
    "terms cannot be compared with each other. Validation scores can. Losses and NLL that span "
    "more than a factor of ten have a logarithmic axis."
)
_ENTROPY = (
    " Predictive entropy is that of a network's own predictions of the images it is trained on: "
    "how much of its doubt the training has left."
)
_DISAGREEMENT = (
    "Disagreement is the mutual information between the prediction and the network that made it: "
    "zero where all networks say the same, however unsure they are. It needs all of them, while "
    "the uncertainty beside it is that of one. It has a scale of its own; 1 pixel in 200 lies "
    "beyond."
)
_PLANE = (
    "The plane of each kind with the most errors of the last method, in true proportions and as "
    "radiologists look at them: the patient's right is on the left, what is in front on top or on "
    "the left. The letters say which side is which."
)


@dataclass(frozen=True)
class ReportFigure:
    """One figure of the page.

    Attributes:
        file_name: of the PNG file beside the page.
        section: where on the page it stands: ``cases``, ``reliability``, ``risk``,
            ``training`` or ``pictures``.
        title: its heading.
        caption: how to read it.
        png: the file's content.
    """

    file_name: str
    section: str
    title: str
    caption: str
    png: bytes

    @property
    def page_width(self) -> int:
        """Pixels on the page; a figure of full width takes all of it."""
        (pixels,) = struct.unpack(">I", self.png[_PNG_WIDTH])
        return round(pixels * _PAGE_PIXELS / (FIGURE_WIDTH * DPI))


def draw_figures(results: EvaluationResults) -> list[ReportFigure]:
    """Draw whatever the results have something for.

    Args:
        results: what to show.

    Returns:
        Figures in the order of the page.
    """
    return [
        _case_scores(results),
        *_reliability(results),
        *_risk_coverage(results),
        *_training(results),
        *(_picture(results, picture, i + 1) for i, picture in enumerate(results.pictures)),
        *_disagreement(results),
    ]


def _case_scores(results: EvaluationResults) -> ReportFigure:
    return ReportFigure(
        file_name="dice_by_case.png",
        section="cases",
        title="Dice of every case",
        caption="Cases from worst to best. A thin line joins the methods' results for one case, so "
        "a method that wins on average but fails on some case is seen. Note where the axis begins.",
        png=plot_case_scores(results),
    )


def _reliability(results: EvaluationResults) -> list[ReportFigure]:
    regions = [
        region
        for region, ending in results.regions.items()
        if ending != _NOT_DRAWN and _has_pixels(results, region)
    ]
    return [
        ReportFigure(
            file_name=f"reliability_{_slug(region)}.png",
            section="reliability",
            title=f"Reliability: {region}",
            caption=in_voxels(_RELIABILITY, is_volume=results.is_volume)
            if region == regions[0]
            else "Read as above.",
            png=plot_reliability(results, region),
        )
        for region in regions
    ]


def _risk_coverage(results: EvaluationResults) -> list[ReportFigure]:
    region = results.main_region
    bins = [method.errors[region] for method in results.methods if region in method.errors]
    if not any(int((one.right + one.wrong).sum()) for one in bins):
        return []
    return [
        ReportFigure(
            file_name="risk_coverage.png",
            section="risk",
            title=f"Risk over coverage: {region}",
            caption=in_voxels(_RISK, is_volume=results.is_volume),
            png=plot_risk_coverage(results),
        )
    ]


def _has_pixels(results: EvaluationResults, region: str) -> bool:
    return any(
        region in method.reliability and int(method.reliability[region].count.sum()) > 0
        for method in results.methods
    )


def _training(results: EvaluationResults) -> list[ReportFigure]:
    names = curve_names(results.histories)
    if not names:
        return []
    return [
        ReportFigure(
            file_name="training_curves.png",
            section="training",
            title="Losses, validation scores and learning rate",
            caption=_CURVES + (_ENTROPY if "predictive_entropy" in names else ""),
            png=plot_training_curves(results),
        )
    ]


def _picture(results: EvaluationResults, picture: CasePicture, number: int) -> ReportFigure:
    title, plane = picture.title.capitalize(), picture.plane
    place = f", {plane} plane" if plane else ""
    # Three planes of a case: what is said of one is said of all.
    caption = f"{_PLANE} {_PICTURE}" if plane else _PICTURE
    if number > 1 and plane:
        caption = "Read as above."
    return ReportFigure(
        file_name=f"case_{number}_{_slug(f'{picture.title} {plane}')}.png",
        section="pictures",
        title=f"{title} case: {picture.case_id}{place}",
        caption=in_voxels(caption, is_volume=results.is_volume),
        png=plot_case(results, picture),
    )


def _disagreement(results: EvaluationResults) -> list[ReportFigure]:
    if not pictures_with_members(results):
        return []
    return [
        ReportFigure(
            file_name="disagreement.png",
            section="pictures",
            title="Where the networks disagree",
            caption=in_voxels(_DISAGREEMENT, is_volume=results.is_volume),
            png=plot_disagreement(results),
        )
    ]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "figure"
