"""Calibration of every class, not of the predicted one alone, and what it is of the Brier score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError
from medkd.functional._bins import BinSums, check_probabilities
from medkd.functional._voxels import cases_in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = [
    "BrierDecomposition",
    "ClasswiseBins",
    "brier_decomposition",
    "classwise_bins",
    "classwise_calibration_error",
]


@dataclass(frozen=True)
class ClasswiseBins:
    """Reliability bins of every class, and its squared error, for each of ``B`` cases.

    Bins are sums, so those of parts add up to those of the whole, without loss.

    Attributes:
        count: voxels whose probability of the class is in the bin, int64 ``(B, C, num_bins)``.
        positive: those of them whose label is the class, int64 ``(B, C, num_bins)``.
        prob_sum: sum of their probabilities of the class, float64 ``(B, C, num_bins)``.
        squared_error_sum: sum over all voxels of the squared distance between probability and
            label of the class, float64 ``(B, C)``.
    """

    count: Tensor
    positive: Tensor
    prob_sum: Tensor
    squared_error_sum: Tensor

    def pooled(self) -> ClasswiseBins:
        """The bins of all cases taken as one, each tensor with one case."""
        return ClasswiseBins(
            count=self.count.sum(dim=0, keepdim=True),
            positive=self.positive.sum(dim=0, keepdim=True),
            prob_sum=self.prob_sum.sum(dim=0, keepdim=True),
            squared_error_sum=self.squared_error_sum.sum(dim=0, keepdim=True),
        )

    def __add__(self, other: ClasswiseBins) -> ClasswiseBins:
        """Bins of the same cases from other voxels, added case by case and bin by bin.

        Raises:
            ValueError: if the two have another number of cases, classes or bins.
        """
        if self.count.shape != other.count.shape:
            raise InvalidValueError(
                f"Expected the bins to be of one shape (B, C, num_bins), but got shapes "
                f"{tuple(self.count.shape)} and {tuple(other.count.shape)}."
            )
        return ClasswiseBins(
            count=self.count + other.count,
            positive=self.positive + other.positive,
            prob_sum=self.prob_sum + other.prob_sum,
            squared_error_sum=self.squared_error_sum + other.squared_error_sum,
        )


@dataclass(frozen=True)
class BrierDecomposition:
    """The two parts of the Brier score, for each of ``B`` cases.

    Attributes:
        calibration: what would be won if every probability said what it means, float64 ``(B,)``.
        refinement: what would be left then, float64 ``(B,)``.
    """

    calibration: Tensor
    refinement: Tensor


def classwise_bins(
    probs: Probs, label: Label, *, num_bins: int = 15, mask: Mask | None = None
) -> ClasswiseBins:
    r"""Voxels of each case counted, for every class, by the probability of that class.

    Bin :math:`i = 1 \dots K` holds the probabilities in :math:`(\tfrac{i-1}{K}, \tfrac{i}{K}]`;
    zero belongs to the first. As in :func:`medkd.functional.reliability_bins` the exact value
    decides, voxels are counted in int64 and probabilities summed in float64, in chunks.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``;
            logits are not accepted. The tensor is not modified, and no gradient is recorded.
        label: class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)`` of any dtype.
        num_bins: :math:`K`, 1 or more.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it,
            ``probs`` and ``label`` may hold anything.

    Returns:
        Bins of each case. Those of a case without a valid voxel are all zero.

    Raises:
        ValueError: if a shape does not fit, ``num_bins`` is below 1, or a valid voxel of ``label``
            is no class index or of ``probs`` no probability (NaN included).
        TypeError: if a dtype does not fit.

    Example:
        Four voxels, of which the first class is announced with 0.75 and found in three:

        >>> import torch
        >>> from medkd.functional import classwise_bins
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 4)
        >>> bins = classwise_bins(probs, torch.tensor([[[0, 0, 0, 1]]]), num_bins=2)
        >>> bins.count.tolist(), bins.positive.tolist()
        ([[[0, 4], [4, 0]]], [[[0, 3], [1, 0]]])
        >>> bins.prob_sum.tolist(), bins.squared_error_sum.tolist()
        ([[[0.0, 3.0], [1.0, 0.0]]], [[0.75, 0.75]])

    References:
        M. Kull, M. Perello-Nieto, M. Kangsepp, T. Silva Filho, H. Song, P. Flach. Beyond
        temperature scaling: obtaining well-calibrated multi-class probabilities with Dirichlet
        calibration. NeurIPS 2019, arXiv:1910.12656.
    """
    check_at_least(num_bins, 1, "num_bins")
    cases = [
        _bins_of(chunks, probs.shape[1], num_bins) for chunks in cases_in_chunks(probs, label, mask)
    ]
    counts, prob_sums, squared_errors = zip(*cases, strict=True)
    negative, positive = torch.stack(counts).to(probs.device).unbind(dim=-1)
    return ClasswiseBins(
        count=negative + positive,
        positive=positive,
        prob_sum=torch.stack(prob_sums).to(probs.device),
        squared_error_sum=torch.stack(squared_errors).to(probs.device),
    )


def classwise_calibration_error(bins: ClasswiseBins) -> Tensor:
    r"""Gap between probability and frequency of each class, weighted by its voxels.

    .. math::
        \mathrm{ECE}_c = \sum_i \frac{|V_{ci}|}{|V|} \,
            \big| \mathrm{frequency}_c(V_{ci}) - \mathrm{probability}_c(V_{ci}) \big|

    over the bins :math:`V_{ci}` of class :math:`c`. The class-wise calibration error of Kull et al.
    is the mean over the classes, ``.mean(dim=1)``. Most voxels are surely not of a small
    structure: its error is small because it is, so compare it between methods, not between classes.

    Args:
        bins: class-wise bins of ``B`` cases; pool them first for one number over all voxels.

    Returns:
        float64 ``(B, C)`` in ``[0, 1]``; NaN for a case without a valid voxel. A class that the
        label does not have is none the less announced, and has an error.

    Example:
        Two classes, announced with 0.75 and 0.25, each found in half of the voxels:

        >>> import torch
        >>> from medkd.functional import classwise_bins, classwise_calibration_error
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 4)
        >>> bins = classwise_bins(probs, torch.tensor([[[0, 0, 1, 1]]]))
        >>> classwise_calibration_error(bins).tolist()
        [[0.25, 0.25]]

    References:
        M. Kull, M. Perello-Nieto, M. Kangsepp, T. Silva Filho, H. Song, P. Flach. Beyond
        temperature scaling: obtaining well-calibrated multi-class probabilities with Dirichlet
        calibration. NeurIPS 2019, arXiv:1910.12656 (class-wise ECE).
    """
    gap = (bins.positive - bins.prob_sum).abs().sum(dim=2)
    return gap / bins.count.sum(dim=2)  # 0 / 0 is the NaN of a case without a voxel


def brier_decomposition(bins: ClasswiseBins) -> BrierDecomposition:
    r"""Calibration and refinement, which add up to the Brier score.

    .. math::
        \mathrm{BS} = \underbrace{\sum_c \sum_i \frac{|V_{ci}|}{|V|}
            \big( \bar p_{ci} - \bar y_{ci} \big)^2}_{\text{calibration}}
        + \underbrace{\frac{1}{|V|} \sum_c \sum_i \sum_{v \in V_{ci}}
            \big( (p_c(v) - \bar p_{ci}) - (y_c(v) - \bar y_{ci}) \big)^2}_{\text{refinement}}

    with :math:`\bar p_{ci}` and :math:`\bar y_{ci}` the mean probability and the frequency of class
    :math:`c` in its bin :math:`i`. The sum is the Brier score itself, at any number of bins,
    because refinement holds the spread of the probabilities within a bin beside that of the labels;
    Murphy's form, for probabilities that are all equal in a bin, leaves the former out, and then
    calibration and refinement do not add up. Stephenson et al. name its two terms.

    Args:
        bins: class-wise bins of ``B`` cases; pool them first for one number over all voxels.

    Returns:
        Both parts, float64 ``(B,)``, zero or more, lower is better; NaN for a case without a valid
        voxel. Their sum is :func:`medkd.functional.brier_score`, up to the rounding of float64.

    Example:
        Two voxels at 0.75, one of them right: 0.625 in all, of which a network that says 0.5
        would have saved 0.125.

        >>> import torch
        >>> from medkd.functional import brier_decomposition, classwise_bins
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 2)
        >>> parts = brier_decomposition(classwise_bins(probs, torch.tensor([[[0, 1]]])))
        >>> parts.calibration.item(), parts.refinement.item()
        (0.125, 0.5)

    References:
        A. H. Murphy. A new vector partition of the probability score. Journal of Applied
        Meteorology 12(4), 595-600, 1973 (calibration and refinement).
        D. B. Stephenson, C. A. S. Coelho, I. T. Jolliffe. Two extra components in the Brier score
        decomposition. Weather and Forecasting 23(4), 752-757, 2008 (the terms within a bin).
    """
    num_voxels = bins.count[:, 0].sum(dim=1)
    squared_gap = (bins.prob_sum - bins.positive).square() / bins.count.clamp_min(1)
    calibration = squared_gap.sum(dim=(1, 2)) / num_voxels
    score = bins.squared_error_sum.sum(dim=1) / num_voxels
    # Rounding may put the difference a little below zero, where the refinement is none.
    return BrierDecomposition(calibration, (score - calibration).clamp_min(0.0))


def _bins_of(
    chunks: Iterable[tuple[Tensor, Tensor]], num_classes: int, num_bins: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Counts ``(C, num_bins, 2)`` of one case, sums ``(C, num_bins)``, squared error ``(C,)``."""
    sums = [BinSums(num_bins) for _ in range(num_classes)]
    squared_error = torch.zeros(num_classes, dtype=torch.float64)
    for probs, label in chunks:
        for index in range(num_classes):
            check_probabilities(probs[index], "values")
            values, positive = probs[index].double(), (label == index).double()
            sums[index].add(values, positive)
            squared_error[index] += (values - positive).square_().sum().cpu()
    counts = torch.stack([of_class.count() for of_class in sums])
    return counts, torch.stack([of_class.total() for of_class in sums]), squared_error
