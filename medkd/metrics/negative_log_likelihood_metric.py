"""Negative log-likelihood over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.functional import negative_log_likelihood
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["NegativeLogLikelihoodMetric"]


class NegativeLogLikelihoodMetric(MaskedMetric):
    """Negative log-likelihood of each case's label, in nats per voxel.

    The mathematics is that of :func:`medkd.functional.negative_log_likelihood`.

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
        One undecided voxel costs log 2:

        >>> import torch
        >>> from medkd.metrics import NegativeLogLikelihoodMetric
        >>> metric = NegativeLogLikelihoodMetric()
        >>> _ = metric(y_pred=torch.full((1, 2, 1), 0.5), y=torch.zeros(1, 1, 1))
        >>> round(metric.aggregate().item(), 4)
        0.6931

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, section 2.
    """

    def _compute_tensor(self, y_pred: Probs, y: Label, mask: Mask | None = None) -> Tensor:
        return negative_log_likelihood(y_pred, y, mask=mask).unsqueeze(1)
