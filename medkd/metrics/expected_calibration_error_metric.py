"""Expected calibration error over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.utils import MetricReduction

from medkd._checks import check_at_least
from medkd.errors import FailureError
from medkd.functional import ReliabilityBins, expected_calibration_error, reliability_bins
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from monai.config import TensorOrList
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["ExpectedCalibrationErrorMetric"]


class ExpectedCalibrationErrorMetric(MaskedMetric):
    """Top-label calibration error of each case, and the reliability bins of all of them.

    The mathematics is that of :func:`medkd.functional.expected_calibration_error`. The metric keeps
    the bins, so the diagram and the error of all voxels pooled come from the same pass.

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
        Two cases with a confidence of 0.75 everywhere, all right and half right:

        >>> import torch
        >>> from medkd.metrics import ExpectedCalibrationErrorMetric
        >>> metric = ExpectedCalibrationErrorMetric()
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 4)
        >>> _ = metric(y_pred=probs, y=torch.tensor([[[0, 0, 0, 0]]]))
        >>> _ = metric(y_pred=probs, y=torch.tensor([[[0, 0, 1, 1]]]))
        >>> metric.aggregate().item()
        0.25
        >>> metric.reliability_bins().pooled().count.sum().item()
        8

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, equation 3.
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

    def __call__(
        self, y_pred: TensorOrList, y: TensorOrList, mask: TensorOrList | None = None
    ) -> Tensor:
        """Add a batch to the cases seen and return the error of each, float64 ``(B, 1)``."""
        return _error_per_case(ReliabilityBins(*super().__call__(y_pred, y, mask)))

    def _compute_tensor(
        self, y_pred: Probs, y: Label, mask: Mask | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        bins = reliability_bins(y_pred, y, num_bins=self.num_bins, mask=mask)
        return bins.count, bins.correct, bins.confidence_sum

    def reliability_bins(self) -> ReliabilityBins:
        """The bins of every case seen, each tensor ``(cases, num_bins)``, of all processes.

        Raises:
            RuntimeError: if no case was seen since the last reset.
        """
        buffers = super().get_buffer()
        if buffers is None:
            raise FailureError(
                "Expected `ExpectedCalibrationErrorMetric` to be called before its bins are read, "
                "but got no case."
            )
        return ReliabilityBins(*buffers)

    def get_buffer(self) -> Tensor | None:
        """The error of every case seen, float64 ``(cases, 1)``; ``None`` if there is none."""
        return None if super().get_buffer() is None else _error_per_case(self.reliability_bins())


def _error_per_case(bins: ReliabilityBins) -> Tensor:
    return expected_calibration_error(bins).unsqueeze(1)
