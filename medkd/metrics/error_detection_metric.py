"""Detection of errors by uncertainty, over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.functional import entropy_error_bins, error_detection_auroc
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["ErrorDetectionMetric"]


class ErrorDetectionMetric(MaskedMetric):
    """Area under the ROC curve of predictive entropy as a detector of wrong voxels, of each case.

    The mathematics is that of :func:`medkd.functional.error_detection_auroc`. For the area of all
    voxels pooled, give it the bins of :class:`medkd.metrics.AreaUnderRiskCoverageMetric`.

    Args:
        reduction: over the cases that have a right and a wrong valid voxel, as MONAI names it.
        get_not_nans: whether ``aggregate`` also returns how many cases those are.

    Raises:
        ValueError: if ``reduction`` is none of MONAI's.

    Shape:
        - ``y_pred``: probabilities ``(B, C, *spatial)``, or a list of ``(C, *spatial)``.
        - ``y``: class index ``(B, 1, *spatial)``, or a list of ``(1, *spatial)``.
        - ``mask``: bool like ``y``, or ``None``.
        - returned by a call and by ``get_buffer``: the area of each case, float64 ``(B, 1)``.

    Example:
        A certain voxel that is right and an unsure one that is wrong:

        >>> import torch
        >>> from medkd.metrics import ErrorDetectionMetric
        >>> metric = ErrorDetectionMetric()
        >>> probs = torch.tensor([[[1.0, 0.6], [0.0, 0.4]]])  # (B, C, *spatial) = (1, 2, 2)
        >>> _ = metric(y_pred=probs, y=torch.tensor([[[0, 1]]]))
        >>> metric.aggregate().item()
        1.0

    References:
        J. A. Hanley, B. J. McNeil. The meaning and use of the area under a receiver operating
        characteristic (ROC) curve. Radiology 143(1), 29-36, 1982.
    """

    def _compute_tensor(self, y_pred: Probs, y: Label, mask: Mask | None = None) -> Tensor:
        return error_detection_auroc(entropy_error_bins(y_pred, y, mask=mask)).unsqueeze(1)
