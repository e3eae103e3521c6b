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

_MAIN_REGION = "field of view"


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
    :data:`medkd.reports.REGION_ENDINGS`; everything else is of the field of view. Where nothing is
    in view, prediction and label count as certain background.

    Args:
        prediction: the pooled members.
        case: label, mask and, where there is one, the second observer's label.
        class_names: by class index, the background first.

    Returns:
        The scores.
    """
    # As predictions are written for the user: certain background where nothing can be seen.
    probs = torch.where(case.mask, prediction.probs, _certain_background(prediction.probs))
    label = torch.where(case.mask, case.label, 0)
    pred_label = probs.argmax(dim=1, keepdim=True)
    scores = _segmentation_scores(pred_label, label, case.mask, class_names)
    reliability = {}
    masks = {
        _MAIN_REGION: case.mask,
        "all pixels": None,
        "band": case.mask & label_band(case.label, radius=BAND_RADIUS),
    }
    for region, ending in REGION_ENDINGS.items():
        mask = masks[region]
        reliability[region] = reliability_bins(probs, label, mask=mask)
        scores[f"ece{ending}"] = float(expected_calibration_error(reliability[region]))
        scores[f"brier{ending}"] = float(brier_score(probs, label, mask=mask))
        scores[f"nll{ending}"] = float(negative_log_likelihood(probs, label, mask=mask))
    scores |= _calibration_scores(probs, label, case.mask, reliability[_MAIN_REGION], class_names)
    uncertainty = entropy(probs)
    errors = error_bins(
        uncertainty, pred_label, label, maximum=math.log(probs.shape[1]), mask=case.mask
    )
    scores |= _ranking_scores(errors)
    scores |= _disagreement_scores(uncertainty, case, maximum=math.log(probs.shape[1]))
    scores |= _uncertainty_scores(uncertainty, prediction, pred_label, label, case.mask)
    return CaseScores(scores, reliability, {_MAIN_REGION: errors}, prediction.seconds)


def _certain_background(probs: torch.Tensor) -> torch.Tensor:
    background = torch.zeros_like(probs)
    background[:, 0] = 1.0
    return background


def _segmentation_scores(
    pred_label: torch.Tensor, label: torch.Tensor, mask: torch.Tensor, class_names: Sequence[str]
) -> dict[str, float]:
    num_classes = len(class_names)
    mcc = matthews_correlation_in_mask(pred_label, label, num_classes=num_classes, mask=mask)
    scores = {
        "dice": float(dice_in_mask(pred_label, label, num_classes=num_classes, mask=mask)),
        "mcc": float(mcc),
    }
    if num_classes > 2:
        for index, name in list(enumerate(class_names))[1:]:
            one, other = (pred_label == index).long(), (label == index).long()
            scores[f"dice_{name}"] = float(dice_in_mask(one, other, num_classes=2, mask=mask))
    return scores


def _calibration_scores(
    probs: torch.Tensor,
    label: torch.Tensor,
    mask: torch.Tensor,
    bins: ReliabilityBins,
    class_names: Sequence[str],
) -> dict[str, float]:
    by_class = classwise_bins(probs, label, mask=mask)
    class_errors = classwise_calibration_error(by_class)[0]
    parts = brier_decomposition(by_class)
    scores = {
        "mce": float(maximum_calibration_error(bins)),
        "rms_calibration_error": float(root_mean_square_calibration_error(bins, debiased=True)),
        "ace": float(adaptive_calibration_error(probs, label, mask=mask)),
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
    uncertainty: torch.Tensor, case: PreparedCase, *, maximum: float
) -> dict[str, float]:
    if case.second_label is None:
        return {}
    sums = disagreement_sums(uncertainty, case.label, case.second_label, mask=case.mask)
    bins = error_bins(uncertainty, case.second_label, case.label, maximum=maximum, mask=case.mask)
    return {
        "disagreement_correlation": float(disagreement_correlation(sums)),
        "disagreement_auroc": float(error_detection_auroc(bins)),
    }


def _uncertainty_scores(
    uncertainty: torch.Tensor,
    prediction: Prediction,
    pred_label: torch.Tensor,
    label: torch.Tensor,
    mask: torch.Tensor,
) -> dict[str, float]:
    scores = {"mean_predictive_entropy": float(uncertainty[mask].double().mean())}
    if prediction.num_members == 1:
        return scores
    # Out of view the entropy was set to zero; the mask leaves it out of everything below.
    mutual_information = (uncertainty - prediction.expected_entropy).clamp_min(0.0)
    num_classes = prediction.probs.shape[1]
    bins = error_bins(
        mutual_information, pred_label, label, maximum=math.log(num_classes), mask=mask
    )
    return {
        **scores,
        "mean_expected_entropy": float(prediction.expected_entropy[mask].double().mean()),
        "mean_mutual_information": float(mutual_information[mask].double().mean()),
        "error_auroc_mutual_information": float(error_detection_auroc(bins)),
    }
