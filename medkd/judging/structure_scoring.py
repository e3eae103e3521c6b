"""Scores of every structure: overlap, and where the size of a voxel is known, its geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.functional import confusion_counts, matthews_correlation
from medkd.metrics import (
    dice_by_class,
    jaccard_by_class,
    surface_distances,
    volume_error_by_class,
)
from medkd.reports import class_ending

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from medkd.judging.prepared_case import PreparedCase

__all__ = ["structure_scores"]


def structure_scores(
    pred_label: torch.Tensor, case: PreparedCase, *, class_names: Sequence[str]
) -> dict[str, float]:
    """Scores of what was found where, each of the foreground classes that the label has.

    Args:
        pred_label: predicted class index, ``(1, 1, *spatial)``; background outside the case's mask.
        case: label and, where there are such, mask and spacing.
        class_names: by class index, the background first.

    Returns:
        ``dice``, ``jaccard`` and ``mcc``; where the spacing is known, ``hd95`` and ``asd`` in
        millimeters, ``volume_error``, and ``missed``, the share of structures of which nothing was
        found. Each is the mean over the classes that the label has, NaN if it has none. With two
        foreground classes or more all but ``mcc`` come for each of them, too: ``dice_<class>``; NaN
        where the label does not have the class.
    """
    num_classes = len(class_names)
    counts = confusion_counts(pred_label, case.label, num_classes=num_classes, mask=case.mask)
    found = {"dice": dice_by_class(counts)[0, 1:], "jaccard": jaccard_by_class(counts)[0, 1:]}
    if case.spacing is not None:
        found |= _geometry(pred_label, case, counts)
    scores = {
        "dice": float(found["dice"].nanmean()),
        "mcc": float(matthews_correlation(counts)[0, 1:].nanmean()),
    }
    scores |= {metric: float(values.nanmean()) for metric, values in found.items()}
    if num_classes > 2:
        for metric, values in found.items():
            for name, value in zip(class_names[1:], values.tolist(), strict=True):
                scores[f"{metric}{class_ending(name)}"] = value
    return scores


def _geometry(
    pred_label: torch.Tensor, case: PreparedCase, counts: torch.Tensor
) -> dict[str, torch.Tensor]:
    if case.spacing is None:
        return {}
    distances = surface_distances(
        pred_label,
        case.label,
        num_classes=counts.shape[1],
        spacing=case.spacing,
        mask=case.mask,
    )
    volume_error = volume_error_by_class(counts)[0, 1:]
    is_missed = counts.sum(dim=1)[0, 1:] == 0
    return {
        "hd95": distances.hausdorff_95[0],
        "asd": distances.average[0],
        "volume_error": volume_error,
        "missed": is_missed.double().where(volume_error.isfinite(), volume_error),
    }
