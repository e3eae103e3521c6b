"""Brier score and its two parts over the cases of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.utils import MetricReduction

from medkd._checks import check_at_least
from medkd.errors import FailureError
from medkd.functional import BrierDecomposition, brier_decomposition, classwise_bins
from medkd.metrics.masked_metric import MaskedMetric

if TYPE_CHECKING:
    from monai.config import TensorOrList
    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["BrierDecompositionMetric"]


class BrierDecompositionMetric(MaskedMetric):
    """Brier score of each case, with what calibration and what refinement have in it.

    The mathematics is that of :func:`medkd.functional.brier_decomposition`. The scores are those of
    :class:`medkd.metrics.BrierScoreMetric`, which is faster where the parts are not asked for.

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
        - returned by a call and by ``get_buffer``: the score of each case, float64 ``(B, 1)``.

    Example:
        Two voxels at 0.75, one of them right:

        >>> import torch
        >>> from medkd.metrics import BrierDecompositionMetric
        >>> metric = BrierDecompositionMetric()
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 2)
        >>> metric(y_pred=probs, y=torch.tensor([[[0, 1]]])).tolist()
        [[0.625]]
        >>> parts = metric.decomposition()
        >>> parts.calibration.tolist(), parts.refinement.tolist()
        ([0.125], [0.5])

    References:
        A. H. Murphy. A new vector partition of the probability score. Journal of Applied
        Meteorology 12(4), 595-600, 1973.
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
        """Add a batch to the cases seen and return the score of each, float64 ``(B, 1)``."""
        return _score_per_case(BrierDecomposition(*super().__call__(y_pred, y, mask)))

    def _compute_tensor(
        self, y_pred: Probs, y: Label, mask: Mask | None = None
    ) -> tuple[Tensor, Tensor]:
        bins = classwise_bins(y_pred, y, num_bins=self.num_bins, mask=mask)
        parts = brier_decomposition(bins)
        return parts.calibration, parts.refinement

    def decomposition(self) -> BrierDecomposition:
        """The parts of every case seen, float64 ``(cases,)``, of all processes.

        Raises:
            RuntimeError: if no case was seen since the last reset.
        """
        buffers = super().get_buffer()
        if buffers is None:
            raise FailureError(
                "Expected `BrierDecompositionMetric` to be called before its parts are read, "
                "but got no case."
            )
        return BrierDecomposition(*buffers)

    def get_buffer(self) -> Tensor | None:
        """The score of every case seen, float64 ``(cases, 1)``; ``None`` if there is none."""
        return None if super().get_buffer() is None else _score_per_case(self.decomposition())


def _score_per_case(parts: BrierDecomposition) -> Tensor:
    return (parts.calibration + parts.refinement).unsqueeze(1)
