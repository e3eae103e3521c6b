"""Every score of one prediction of one case, in each region that is reported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from medkd.functional import (
    ErrorBins,
    ReliabilityBins,
    adaptive_calibration_error,
    area_under_risk_coverage,
    brier_decomposition,
    brier_score,
    classwise_bins,
    classwise_calibration_error,
    disagreement_correlation,
    disagreement_sums,
    entropy,
    error_bins,
    error_detection_auroc,
    excess_area_under_risk_coverage,
    expected_calibration_error,
    label_band,
    maximum_calibration_error,
    negative_log_likelihood,
    reliability_bins,
    root_mean_square_calibration_error,
)
from medkd.metrics import dice_in_mask, matthews_correlation_in_mask
from medkd.reports import REGION_ENDINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.workflows.prediction import Prediction
    from medkd.workflows.prepared_case import PreparedCase

__all__ = ["BAND_RADIUS", "CaseScores", "score_case"]

BAND_RADIUS = 3
"""Half the width of the band round the label's edge, in pixels."""

_REGION_METRICS = ("ece", "brier", "nll")


@dataclass(frozen=True)
class CaseScores:
    """What one prediction of one case is worth.

    Attributes:
        scores: by metric id.
        reliability: bins by region.
        errors: counts by ranked uncertainty, by region.
        seconds: how long the prediction took.
    """

    scores: dict[str, float]
    reliability: dict[str, ReliabilityBins]
    errors: dict[str, ErrorBins]
    seconds: float


def score_case(
    prediction: Prediction, case: PreparedCase, *, class_names: Sequence[str]
) -> CaseScores:
    """Score one prediction.

    ``ece``, ``brier`` and ``nll`` come for each region, with the endings of
    :data:`medkd.reports.REGION_ENDINGS`; everything else is of the field of view. Among all pixels,
    those out of view count as what is written for the user there: certain background, and right.

    Args:
        prediction: the pooled members.
        case: label, mask and, where there is one, the second observer's label.
        class_names: by class index, the background first.

    Returns:
        The scores.
    """
    view = _in_view(prediction, case)
    pred_label = view.probs.argmax(dim=1, keepdim=True)
    scores = _segmentation_scores(pred_label, view.label, class_names)
    bins, band_bins = (reliability_bins(view.probs, view.label, mask=m) for m in (None, view.band))
    scores |= _region_scores(bins, view, None, "")
    scores |= _region_scores(band_bins, view, view.band, REGION_ENDINGS["band"])
    share = view.label.numel() / case.label.numel()
    everywhere = REGION_ENDINGS["all pixels"]
    scores |= {f"{metric}{everywhere}": share * scores[metric] for metric in _REGION_METRICS}
    reliability = {
        "field of view": bins,
        "all pixels": _with_certain(bins, case.label.numel() - view.label.numel()),
        "band": band_bins,
    }
    scores |= _calibration_scores(view.probs, view.label, bins, class_names)
    uncertainty = entropy(view.probs)
    errors = error_bins(uncertainty, pred_label, view.label, maximum=math.log(len(class_names)))
    scores |= _ranking_scores(errors)
    scores |= _disagreement_scores(uncertainty, view, maximum=math.log(len(class_names)))
    scores |= _uncertainty_scores(uncertainty, prediction, pred_label, view)
    return CaseScores(scores, reliability, {"field of view": errors}, prediction.seconds)


@dataclass(frozen=True)
class _View:
    """The pixels in view, taken out once: each tensor ``(1, ..., pixels)``."""

    probs: torch.Tensor
    label: torch.Tensor
    band: torch.Tensor
    expected_entropy: torch.Tensor
    second_label: torch.Tensor | None


def _in_view(prediction: Prediction, case: PreparedCase) -> _View:
    pixels = case.mask.flatten().nonzero().squeeze(1)

    def taken(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.flatten(2).index_select(2, pixels)

    return _View(
        probs=taken(prediction.probs),
        label=taken(case.label),
        band=taken(label_band(case.label, radius=BAND_RADIUS)),
        expected_entropy=taken(prediction.expected_entropy),
        second_label=None if case.second_label is None else taken(case.second_label),
    )


def _with_certain(bins: ReliabilityBins, num_pixels: int) -> ReliabilityBins:
    """The bins with so many pixels more that are right and certain."""
    count, correct, confidence_sum = (
        values.clone() for values in (bins.count, bins.correct, bins.confidence_sum)
    )
    for values in (count, correct, confidence_sum):
        values[:, -1] += num_pixels
    return ReliabilityBins(count, correct, confidence_sum)


def _region_scores(
    bins: ReliabilityBins, view: _View, mask: torch.Tensor | None, ending: str
) -> dict[str, float]:
    found = (
        expected_calibration_error(bins),
        brier_score(view.probs, view.label, mask=mask),
        negative_log_likelihood(view.probs, view.label, mask=mask),
    )
    return {
        f"{metric}{ending}": float(value)
        for metric, value in zip(_REGION_METRICS, found, strict=True)
    }


def _segmentation_scores(
    pred_label: torch.Tensor, label: torch.Tensor, class_names: Sequence[str]
) -> dict[str, float]:
    num_classes = len(class_names)
    mcc = matthews_correlation_in_mask(pred_label, label, num_classes=num_classes)
    scores = {
        "dice": float(dice_in_mask(pred_label, label, num_classes=num_classes)),
        "mcc": float(mcc),
    }
    if num_classes > 2:
        for index, name in list(enumerate(class_names))[1:]:
            one, other = (pred_label == index).long(), (label == index).long()
            scores[f"dice_{name}"] = float(dice_in_mask(one, other, num_classes=2))
    return scores


def _calibration_scores(
    probs: torch.Tensor,
    label: torch.Tensor,
    bins: ReliabilityBins,
    class_names: Sequence[str],
) -> dict[str, float]:
    by_class = classwise_bins(probs, label)
    class_errors = classwise_calibration_error(by_class)[0]
    parts = brier_decomposition(by_class)
    scores = {
        "mce": float(maximum_calibration_error(bins)),
        "rms_calibration_error": float(root_mean_square_calibration_error(bins, debiased=True)),
        "ace": float(adaptive_calibration_error(probs, label)),
        "classwise_ece": float(class_errors.mean()),
        "brier_calibration": float(parts.calibration),
        "brier_refinement": float(parts.refinement),
    }
    if len(class_names) > 2:
        for name, error in zip(class_names[1:], class_errors[1:], strict=True):
            scores[f"ece_{name}"] = float(error)
    return scores


def _ranking_scores(errors: ErrorBins) -> dict[str, float]:
    return {
        "aurc": float(area_under_risk_coverage(errors)),
        "excess_aurc": float(excess_area_under_risk_coverage(errors)),
        "error_auroc": float(error_detection_auroc(errors)),
    }


def _disagreement_scores(
    uncertainty: torch.Tensor, view: _View, *, maximum: float
) -> dict[str, float]:
    if view.second_label is None:
        return {}
    sums = disagreement_sums(uncertainty, view.label, view.second_label)
    bins = error_bins(uncertainty, view.second_label, view.label, maximum=maximum)
    return {
        "disagreement_correlation": float(disagreement_correlation(sums)),
        "disagreement_auroc": float(error_detection_auroc(bins)),
    }


def _uncertainty_scores(
    uncertainty: torch.Tensor, prediction: Prediction, pred_label: torch.Tensor, view: _View
) -> dict[str, float]:
    scores = {"mean_predictive_entropy": float(uncertainty.double().mean())}
    if prediction.num_members == 1:
        return scores
    mutual_information = (uncertainty - view.expected_entropy).clamp_min(0.0)
    maximum = math.log(view.probs.shape[1])
    bins = error_bins(mutual_information, pred_label, view.label, maximum=maximum)
    return {
        **scores,
        "mean_expected_entropy": float(view.expected_entropy.double().mean()),
        "mean_mutual_information": float(mutual_information.double().mean()),
        "error_auroc_mutual_information": float(error_detection_auroc(bins)),
    }
