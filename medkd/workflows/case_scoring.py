"""Every score of one prediction of one case, in each region that is reported."""

from __future__ import annotations

import torch

from medkd.functional import (
    ReliabilityBins,
    brier_score,
    expected_calibration_error,
    label_band,
    negative_log_likelihood,
    reliability_bins,
)
from medkd.metrics import dice_in_mask, matthews_correlation_in_mask
from medkd.reports import REGION_ENDINGS

__all__ = ["BAND_RADIUS", "score_case"]

BAND_RADIUS = 3
"""Half the width of the band round the label's edge, in pixels."""


def score_case(
    probs: torch.Tensor, label: torch.Tensor, mask: torch.Tensor
) -> tuple[dict[str, float], dict[str, ReliabilityBins]]:
    """Score one prediction.

    Args:
        probs: ``(1, C, *spatial)``, in ``[0, 1]``, one when summed over ``C``.
        label: class indices, ``(1, 1, *spatial)``.
        mask: the field of view, bool, ``(1, 1, *spatial)``.

    Returns:
        Scores by metric id: ``dice`` and ``mcc`` in the field of view; ``ece``, ``brier`` and
        ``nll`` there and, with the endings of :data:`medkd.reports.REGION_ENDINGS`, in the others.
        Where nothing is in view, prediction and label count as certain background.
        And the reliability bins of each region.
    """
    prediction = probs.argmax(dim=1, keepdim=True)
    num_classes = probs.shape[1]
    scores = {
        "dice": float(dice_in_mask(prediction, label, num_classes=num_classes, mask=mask)),
        "mcc": float(
            matthews_correlation_in_mask(prediction, label, num_classes=num_classes, mask=mask)
        ),
    }
    band = mask & label_band(label, radius=BAND_RADIUS)
    # As predictions are written for the user: certain background where nothing can be seen.
    probs = torch.where(mask, probs, _certain_background(probs))
    label = torch.where(mask, label, 0)
    masks = {
        "field of view": mask,
        "all pixels": None,
        "band": band,
    }
    bins = {}
    for region, ending in REGION_ENDINGS.items():
        bins[region] = reliability_bins(probs, label, mask=masks[region])
        scores[f"ece{ending}"] = float(expected_calibration_error(bins[region]))
        scores[f"brier{ending}"] = float(brier_score(probs, label, mask=masks[region]))
        scores[f"nll{ending}"] = float(negative_log_likelihood(probs, label, mask=masks[region]))
    return scores, bins


def _certain_background(probs: torch.Tensor) -> torch.Tensor:
    background = torch.zeros_like(probs)
    background[:, 0] = 1.0
    return background
