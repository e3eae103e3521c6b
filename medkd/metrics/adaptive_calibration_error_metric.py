"""Adaptive calibration error over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.utils import MetricReduction

from medkd._checks import check_at_least
from medkd.functional import adaptive_calibration_error
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["AdaptiveCalibrationErrorMetric"]


class AdaptiveCalibrationErrorMetric(MaskedMetric):
    """Calibration error of each case over bins of equally many voxels, mean over classes.

    The mathematics is that of :func:`medkd.functional.adaptive_calibration_error`.

    Args:
        num_bins: bins of equal mass, 1 or more.
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
        Two bins of two voxels: of those at 0.25 none is of the second class, of those at 0.75 both.

        >>> import torch
        >>> from medkd.metrics import AdaptiveCalibrationErrorMetric
        >>> metric = AdaptiveCalibrationErrorMetric(num_bins=2)
        >>> second = torch.tensor([0.25, 0.25, 0.75, 0.75])
        >>> probs = torch.stack([1 - second, second]).unsqueeze(0)
        >>> metric(y_pred=probs, y=torch.tensor([[[0, 0, 1, 1]]])).tolist()
        [[0.25]]

    References:
        J. Nixon, M. W. Dusenberry, L. Zhang, G. Jerfel, D. Tran. Measuring calibration in deep
        learning. CVPR workshops 2019, arXiv:1904.01685.
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
        error = adaptive_calibration_error(y_pred, y, num_bins=self.num_bins, mask=mask)
        return error.unsqueeze(1)
