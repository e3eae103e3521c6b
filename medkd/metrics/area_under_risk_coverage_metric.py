"""Area under the risk-coverage curve over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.utils import MetricReduction

from medkd.errors import FailureError
from medkd.functional import (
    ErrorBins,
    area_under_risk_coverage,
    entropy_error_bins,
    excess_area_under_risk_coverage,
)
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from monai.config import TensorOrList
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["AreaUnderRiskCoverageMetric"]


class AreaUnderRiskCoverageMetric(MaskedMetric):
    """Area under the risk-coverage curve of each case, and the error bins of all of them.

    The mathematics is that of :func:`medkd.functional.area_under_risk_coverage`, with predictive
    entropy as uncertainty. The metric keeps the bins (a quarter of a megabyte a case), so the curve
    and every score of all voxels pooled come from the same pass.

    Args:
        excess: whether the area of an oracle that ranks all errors last is taken away, as by
            :func:`medkd.functional.excess_area_under_risk_coverage`.
        reduction: over the cases that have a valid voxel, as MONAI names it.
        get_not_nans: whether ``aggregate`` also returns how many cases those are.

    Raises:
        ValueError: if ``reduction`` is none of MONAI's.

    Shape:
        - ``y_pred``: probabilities ``(B, C, *spatial)``, or a list of ``(C, *spatial)``.
        - ``y``: class index ``(B, 1, *spatial)``, or a list of ``(1, *spatial)``.
        - ``mask``: bool like ``y``, or ``None``.
        - returned by a call and by ``get_buffer``: the area of each case, float64 ``(B, 1)``.

    Example:
        A certain voxel that is right and an unsure one that is wrong: risk 0 of the first, 1/2 of
        both.

        >>> import torch
        >>> from medkd.functional import error_detection_auroc
        >>> from medkd.metrics import AreaUnderRiskCoverageMetric
        >>> metric = AreaUnderRiskCoverageMetric()
        >>> probs = torch.tensor([[[1.0, 0.6], [0.0, 0.4]]])  # (B, C, *spatial) = (1, 2, 2)
        >>> _ = metric(y_pred=probs, y=torch.tensor([[[0, 1]]]))
        >>> metric.aggregate().item()
        0.25
        >>> error_detection_auroc(metric.error_bins().pooled()).item()
        1.0

    References:
        Y. Geifman, G. Uziel, R. El-Yaniv. Bias-reduced uncertainty estimation for deep neural
        classifiers. ICLR 2019, arXiv:1805.08206.
    """

    def __init__(
        self,
        excess: bool = False,
        reduction: MetricReduction | str = MetricReduction.MEAN,
        get_not_nans: bool = False,
    ) -> None:
        super().__init__(reduction=reduction, get_not_nans=get_not_nans)
        self.excess = excess

    def __call__(
        self, y_pred: TensorOrList, y: TensorOrList, mask: TensorOrList | None = None
    ) -> Tensor:
        """Add a batch to the cases seen and return the area of each, float64 ``(B, 1)``."""
        return self._area_per_case(ErrorBins(*super().__call__(y_pred, y, mask)))

    def _compute_tensor(
        self, y_pred: Probs, y: Label, mask: Mask | None = None
    ) -> tuple[Tensor, Tensor]:
        bins = entropy_error_bins(y_pred, y, mask=mask)
        return bins.right, bins.wrong

    def error_bins(self) -> ErrorBins:
        """The bins of every case seen, each tensor ``(cases, K)``, of all processes.

        Raises:
            RuntimeError: if no case was seen since the last reset.
        """
        buffers = super().get_buffer()
        if buffers is None:
            raise FailureError(
                "Expected `AreaUnderRiskCoverageMetric` to be called before its bins are read, "
                "but got no case."
            )
        return ErrorBins(*buffers)

    def get_buffer(self) -> Tensor | None:
        """The area of every case seen, float64 ``(cases, 1)``; ``None`` if there is none."""
        return None if super().get_buffer() is None else self._area_per_case(self.error_bins())

    def _area_per_case(self, bins: ErrorBins) -> Tensor:
        area = excess_area_under_risk_coverage if self.excess else area_under_risk_coverage
        return area(bins).unsqueeze(1)
