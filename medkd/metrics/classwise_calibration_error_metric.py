"""Class-wise calibration error over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.utils import MetricReduction

from medkd._checks import check_at_least
from medkd.functional import classwise_bins, classwise_calibration_error
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["ClasswiseCalibrationErrorMetric"]


class ClasswiseCalibrationErrorMetric(MaskedMetric):
    """Calibration error of every class, of each case.

    The mathematics is that of :func:`medkd.functional.classwise_calibration_error`. The mean over
    classes and cases is the class-wise calibration error; the mean of each class, for a table, is
    ``aggregate("mean_batch")``.

    Args:
        num_bins: equally wide bins of probability, 1 or more.
        reduction: over the cases that have a valid voxel, as MONAI names it.
        get_not_nans: whether ``aggregate`` also returns how many cases those are.

    Raises:
        ValueError: if ``num_bins`` is below 1 or ``reduction`` is none of MONAI's.
        TypeError: if ``num_bins`` is not an int.

    Shape:
        - ``y_pred``: probabilities ``(B, C, *spatial)``, or a list of ``(C, *spatial)``.
        - ``y``: class index ``(B, 1, *spatial)``, or a list of ``(1, *spatial)``.
        - ``mask``: bool like ``y``, or ``None``.
        - returned by a call and by ``get_buffer``: the error of each class and case, float64
          ``(B, C)``.

    Example:
        Two classes, announced with 0.75 and 0.25, each found in half of the voxels:

        >>> import torch
        >>> from medkd.metrics import ClasswiseCalibrationErrorMetric
        >>> metric = ClasswiseCalibrationErrorMetric()
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 4)
        >>> metric(y_pred=probs, y=torch.tensor([[[0, 0, 1, 1]]])).tolist()
        [[0.25, 0.25]]
        >>> metric.aggregate().item()
        0.25

    References:
        M. Kull, M. Perello-Nieto, M. Kangsepp, T. Silva Filho, H. Song, P. Flach. Beyond
        temperature scaling: obtaining well-calibrated multi-class probabilities with Dirichlet
        calibration. NeurIPS 2019, arXiv:1910.12656.
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
        bins = classwise_bins(y_pred, y, num_bins=self.num_bins, mask=mask)
        return classwise_calibration_error(bins)
