"""Brier score over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.functional import brier_score
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["BrierScoreMetric"]


class BrierScoreMetric(MaskedMetric):
    """Brier score of each case, summed over classes.

    The mathematics is that of :func:`medkd.functional.brier_score`.

    Args:
        reduction: over the cases that have a valid voxel, as MONAI names it.
        get_not_nans: whether ``aggregate`` also returns how many cases those are.

    Raises:
        ValueError: if ``reduction`` is none of MONAI's.

    Shape:
        - ``y_pred``: probabilities ``(B, C, *spatial)``, or a list of ``(C, *spatial)``.
        - ``y``: class index ``(B, 1, *spatial)``, or a list of ``(1, *spatial)``.
        - ``mask``: bool like ``y``, or ``None``.
        - returned by a call and by ``get_buffer``: the score of each case, float64 ``(B, 1)``.

    Example:
        One undecided voxel:

        >>> import torch
        >>> from medkd.metrics import BrierScoreMetric
        >>> metric = BrierScoreMetric()
        >>> metric(y_pred=torch.full((1, 2, 1), 0.5), y=torch.zeros(1, 1, 1)).tolist()
        [[0.5]]
        >>> metric.aggregate().item()
        0.5

    References:
        G. W. Brier. Verification of forecasts expressed in terms of probability. Monthly Weather
        Review 78(1), 1-3, 1950.
    """

    def _compute_tensor(self, y_pred: Probs, y: Label, mask: Mask | None = None) -> Tensor:
        return brier_score(y_pred, y, mask=mask).unsqueeze(1)
