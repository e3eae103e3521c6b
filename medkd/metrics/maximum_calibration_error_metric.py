"""Maximum calibration error over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.utils import MetricReduction

from medkd._checks import check_at_least
from medkd.functional import maximum_calibration_error, reliability_bins
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["MaximumCalibrationErrorMetric"]


class MaximumCalibrationErrorMetric(MaskedMetric):
    """Widest gap between confidence and accuracy of any bin, of each case.

    The mathematics is that of :func:`medkd.functional.maximum_calibration_error`. The error of all
    voxels pooled is that of the bins of
    :class:`medkd.metrics.ExpectedCalibrationErrorMetric`, which keeps them.

    Args:
        num_bins: equally wide bins of confidence, 1 or more.
        reduction: over the cases that have a valid voxel, as MONAI names it.
        get_not_nans: whether ``aggregate`` also returns how many cases those are.

    Raises:
        ValueError: if ``num_bins`` is below 1 or ``reduction`` is none of MONAI's.
        TypeError: if ``num_bins`` is not an int.

    Shape:
        - ``y_pred``: probabilities ``(B, C, *spatial)``, or a list of ``(C, *spatial)``.
        - ``y``: class index ``(B, 1, *spatial)``, or a list of ``(1, *spatial)``.
        - ``mask``: bool like ``y``, or ``None``.
        - returned by a call and by ``get_buffer``: the error of each case, float64 ``(B, 1)``.

    Example:
        Two voxels at 1.0, one of them right, and one at 0.75 that is right:

        >>> import torch
        >>> from medkd.metrics import MaximumCalibrationErrorMetric
        >>> metric = MaximumCalibrationErrorMetric()
        >>> top = torch.tensor([1.0, 1.0, 0.75])
        >>> probs = torch.stack([top, 1 - top]).unsqueeze(0)  # (B, C, *spatial)
        >>> metric(y_pred=probs, y=torch.tensor([[[0, 1, 0]]])).tolist()
        [[0.5]]

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, equation 5.
    """

    def __init__(
        self,
        num_bins: int = 15,
        reduction: MetricReduction | str = MetricReduction.MEAN,
        get_not_nans: bool = False,
    ) -> None:
        super().__init__(reduction=reduction, get_not_nans=get_not_nans)
        check_at_least(num_bins, 1, "num_bins")
        self.num_bins = num_bins

    def _compute_tensor(self, y_pred: Probs, y: Label, mask: Mask | None = None) -> Tensor:
        bins = reliability_bins(y_pred, y, num_bins=self.num_bins, mask=mask)
        return maximum_calibration_error(bins).unsqueeze(1)
