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
    maximum_calibration_error,
    negative_log_likelihood,
    reliability_bins,
    root_mean_square_calibration_error,
)
from medkd.judging.structure_scoring import structure_scores
from medkd.reports import REGION_ENDINGS, WHOLE_IMAGE_ENDINGS, class_ending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medkd.judging.pooled_prediction import Prediction
    from medkd.judging.prepared_case import PreparedCase

__all__ = ["CaseScores", "score_case"]

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
    :data:`medkd.reports.REGION_ENDINGS`; everything else is of the field of view, which is the
    case's mask. Among all pixels, those out of view count as what is written for the user there:
    certain background, and right. A case without a mask has the regions of
    :data:`medkd.reports.WHOLE_IMAGE_ENDINGS`.

    Args:
        prediction: the pooled members.
        case: label and, where there are such, mask and the second observer's label.
        class_names: by class index, the background first.

    Returns:
        The scores.
    """
    # Of several highest the first, as argmax says, which takes five times as long.
    pred_label = prediction.probs.max(dim=1, keepdim=True).indices
    scores = structure_scores(pred_label, case, class_names=class_names)
    view = _in_view(prediction, pred_label, case)
    bins, band_bins = (reliability_bins(view.probs, view.label, mask=m) for m in (None, view.band))
    scores |= _region_scores(bins, view, None, "")
    scores |= _region_scores(band_bins, view, view.band, REGION_ENDINGS["band"])
    main = next(iter(WHOLE_IMAGE_ENDINGS if case.mask is None else REGION_ENDINGS))
    reliability = {main: bins, "band": band_bins}
    if case.mask is not None:
        num_outside = case.label.numel() - view.label.numel()
        scores |= _everywhere(scores, view.label.numel() / case.label.numel())
        reliability["all pixels"] = _with_certain(bins, num_outside)
    scores |= _calibration_scores(view.probs, view.label, bins, class_names)
    uncertainty = entropy(view.probs)
    errors = error_bins(uncertainty, view.pred, view.label, maximum=math.log(len(class_names)))
    scores |= _ranking_scores(errors)
    scores |= _disagreement_scores(uncertainty, view, maximum=math.log(len(class_names)))
    scores |= _uncertainty_scores(uncertainty, prediction.num_members, view)
    return CaseScores(scores, reliability, {main: errors}, prediction.seconds)


@dataclass(frozen=True)
class _View:
    """The voxels in view, taken out once: each tensor ``(1, ..., voxels)``."""

    probs: torch.Tensor
    pred: torch.Tensor
    label: torch.Tensor
    band: torch.Tensor
    expected_entropy: torch.Tensor
    second_label: torch.Tensor | None


def _in_view(prediction: Prediction, pred_label: torch.Tensor, case: PreparedCase) -> _View:
    pixels = None if case.mask is None else case.mask.flatten().nonzero().squeeze(1)

    def taken(tensor: torch.Tensor) -> torch.Tensor:
        flat = tensor.flatten(2)
        return flat if pixels is None else flat.index_select(2, pixels)

    return _View(
        probs=taken(prediction.probs),
        pred=taken(pred_label),
        label=taken(case.label),
        band=taken(case.band),
        expected_entropy=taken(prediction.expected_entropy),
        second_label=None if case.second_label is None else taken(case.second_label),
    )


def _everywhere(scores: Mapping[str, float], share: float) -> dict[str, float]:
    """Scores of all pixels, where those out of view are perfect."""
    ending = REGION_ENDINGS["all pixels"]
    return {f"{metric}{ending}": share * scores[metric] for metric in _REGION_METRICS}


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
            scores[f"ece{class_ending(name)}"] = float(error)
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
    uncertainty: torch.Tensor, num_members: int, view: _View
) -> dict[str, float]:
    scores = {"mean_predictive_entropy": float(uncertainty.double().mean())}
    if num_members == 1:
        return scores
    mutual_information = (uncertainty - view.expected_entropy).clamp_min(0.0)
    maximum = math.log(view.probs.shape[1])
    bins = error_bins(mutual_information, view.pred, view.label, maximum=maximum)
    return {
        **scores,
        "mean_expected_entropy": float(view.expected_entropy.double().mean()),
        "mean_mutual_information": float(mutual_information.double().mean()),
        "error_auroc_mutual_information": float(error_detection_auroc(bins)),
    }
