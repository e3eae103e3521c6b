"""Does a confidence of 0.8 mean right in 8 of 10? Reliability bins and their summary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError
from medkd.functional._bins import BinSums
from medkd.functional._top_label import top_label
from medkd.functional._voxels import cases_in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = [
    "ReliabilityBins",
    "expected_calibration_error",
    "maximum_calibration_error",
    "reliability_bins",
    "root_mean_square_calibration_error",
]


@dataclass(frozen=True)
class ReliabilityBins:
    """What a reliability diagram and the calibration error are made of, for each of ``B`` cases.

    Bins are sums, so those of parts add up to those of the whole, without loss.

    Attributes:
        count: voxels in each bin, int64 ``(B, num_bins)``.
        correct: those of them whose predicted class is the label's, int64 ``(B, num_bins)``.
        confidence_sum: sum of their confidences, float64 ``(B, num_bins)``.

    Example:
        >>> import torch
        >>> from medkd.functional import ReliabilityBins, expected_calibration_error
        >>> bins = ReliabilityBins(
        ...     count=torch.tensor([[0, 10], [0, 30]]),
        ...     correct=torch.tensor([[0, 8], [0, 30]]),
        ...     confidence_sum=torch.tensor([[0.0, 9.0], [0.0, 27.0]], dtype=torch.float64),
        ... )
        >>> [round(v, 4) for v in expected_calibration_error(bins).tolist()]
        [0.1, 0.1]
        >>> round(expected_calibration_error(bins.pooled()).item(), 4)  # 38 of 40 at 0.9
        0.05
    """

    count: Tensor
    correct: Tensor
    confidence_sum: Tensor

    def pooled(self) -> ReliabilityBins:
        """The bins of all cases taken as one, each tensor ``(1, num_bins)``."""
        return ReliabilityBins(
            count=self.count.sum(dim=0, keepdim=True),
            correct=self.correct.sum(dim=0, keepdim=True),
            confidence_sum=self.confidence_sum.sum(dim=0, keepdim=True),
        )

    def __add__(self, other: ReliabilityBins) -> ReliabilityBins:
        """Bins of the same cases from other voxels, added case by case and bin by bin.

        Raises:
            ValueError: if the two have another number of cases or bins.
        """
        if self.count.shape != other.count.shape:
            raise InvalidValueError(
                f"Expected the bins to be of one shape (B, num_bins), but got shapes "
                f"{tuple(self.count.shape)} and {tuple(other.count.shape)}."
            )
        return ReliabilityBins(
            count=self.count + other.count,
            correct=self.correct + other.correct,
            confidence_sum=self.confidence_sum + other.confidence_sum,
        )


def reliability_bins(
    probs: Probs, label: Label, *, num_bins: int = 15, mask: Mask | None = None
) -> ReliabilityBins:
    r"""Voxels of each case counted by the confidence of their predicted class.

    The predicted class of a voxel is the one of highest probability (of equals the lowest index),
    its confidence that probability. Bin :math:`i = 1 \dots K` holds the confidences in
    :math:`(\tfrac{i-1}{K}, \tfrac{i}{K}]`; zero belongs to the first.

    The exact value of the confidence decides: it is multiplied by :math:`K` in float64, which
    rounds nothing of a float32 or narrower number, so every device agrees. (In float32, 0.6 is a
    little more than 3/5 and belongs to the bin above it.) Voxels are counted in int64 and
    confidences summed in float64, in chunks, at any size of volume: sums in float32 stop growing at
    16,777,216 voxels per bin.

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
        Four voxels with a confidence of 0.75, of which three are right:

        >>> import torch
        >>> from medkd.functional import reliability_bins
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 4)
        >>> bins = reliability_bins(probs, torch.tensor([[[0, 0, 0, 1]]]), num_bins=4)
        >>> bins.count.tolist(), bins.correct.tolist(), bins.confidence_sum.tolist()
        ([[0, 0, 4, 0]], [[0, 0, 3, 0]], [[0.0, 0.0, 3.0, 0.0]])

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, section 2.
    """
    check_at_least(num_bins, 1, "num_bins")
    cases = [_bins_of(chunks, num_bins) for chunks in cases_in_chunks(probs, label, mask)]
    counts, confidence_sums = zip(*cases, strict=True)
    wrong, correct = torch.stack(counts).to(probs.device).unbind(dim=-1)
    return ReliabilityBins(
        count=wrong + correct,
        correct=correct,
        confidence_sum=torch.stack(confidence_sums).to(probs.device),
    )


def expected_calibration_error(bins: ReliabilityBins) -> Tensor:
    r"""Gap between confidence and accuracy, weighted by how many voxels have it.

    .. math::
        \mathrm{ECE} = \sum_i \frac{|V_i|}{|V|} \,
            \big| \mathrm{accuracy}(V_i) - \mathrm{confidence}(V_i) \big|

    over the bins :math:`V_i`. Empty bins add nothing.

    Args:
        bins: reliability bins of ``B`` cases; pool them first for one number over all voxels.

    Returns:
        float64 ``(B,)`` in ``[0, 1]``; NaN for a case without a valid voxel.

    Example:
        Confidence 0.75 and right in half of the voxels:

        >>> import torch
        >>> from medkd.functional import expected_calibration_error, reliability_bins
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 4)
        >>> bins = reliability_bins(probs, torch.tensor([[[0, 0, 1, 1]]]))
        >>> expected_calibration_error(bins).item()
        0.25

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, equation 3.
    """
    # |V_i| (accuracy - confidence) is correct - confidence_sum: no division by an empty bin.
    gap = (bins.correct - bins.confidence_sum).abs().sum(dim=1)
    return gap / bins.count.sum(dim=1)  # 0 / 0 is the NaN of a case without a voxel


def maximum_calibration_error(bins: ReliabilityBins) -> Tensor:
    r"""Widest gap between confidence and accuracy of any bin.

    .. math::
        \mathrm{MCE} = \max_i \big| \mathrm{accuracy}(V_i) - \mathrm{confidence}(V_i) \big|

    over the bins :math:`V_i` that hold a voxel. One voxel makes a bin: on small structures it says
    more about the number of voxels than about the network.

    Args:
        bins: reliability bins of ``B`` cases; pool them first for one number over all voxels.

    Returns:
        float64 ``(B,)`` in ``[0, 1]``; NaN for a case without a valid voxel.

    Example:
        Thirty voxels at 0.9 that are all right, ten at 0.6 of which two are:

        >>> import torch
        >>> from medkd.functional import ReliabilityBins, maximum_calibration_error
        >>> bins = ReliabilityBins(
        ...     count=torch.tensor([[10, 30]]),
        ...     correct=torch.tensor([[2, 30]]),
        ...     confidence_sum=torch.tensor([[6.0, 27.0]], dtype=torch.float64),
        ... )
        >>> round(maximum_calibration_error(bins).item(), 4)  # 0.6 - 0.2
        0.4

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, equation 5.
    """
    widest = _gaps(bins).abs().amax(dim=1)
    return widest.masked_fill(bins.count.sum(dim=1) == 0, torch.nan)


def root_mean_square_calibration_error(bins: ReliabilityBins, *, debiased: bool) -> Tensor:
    r"""Root of the mean square of the gap between confidence and accuracy.

    .. math::
        \mathrm{RMSCE}^2 = \sum_i \frac{|V_i|}{|V|} \Big( g_i^2
            - \frac{a_i (1 - a_i)}{|V_i| - 1} \Big), \qquad
            g_i = a_i - \mathrm{confidence}(V_i)

    with :math:`a_i` the accuracy of bin :math:`V_i`; the second term only if ``debiased``. It is
    how much of the square of the gap is to be expected from the finite number of voxels alone:
    without it, a perfectly calibrated network has an error, the greater the fewer its voxels.

    A bin of one voxel says nothing of its own spread; debiased, it adds nothing. The debiased sum
    estimates a square and may fall below zero, which says that no error is to be seen: it counts as
    zero, before the root is taken. Neighboring voxels err together, so the true bias on images is
    greater than what is taken off.

    Args:
        bins: reliability bins of ``B`` cases; pool them first for one number over all voxels.
        debiased: whether to take the expected part off.

    Returns:
        float64 ``(B,)`` in ``[0, 1]``; NaN for a case without a valid voxel.

    Example:
        Five voxels at 0.75 of which two are right:

        >>> import torch
        >>> from medkd.functional import ReliabilityBins, root_mean_square_calibration_error
        >>> bins = ReliabilityBins(
        ...     count=torch.tensor([[5]]),
        ...     correct=torch.tensor([[2]]),
        ...     confidence_sum=torch.tensor([[3.75]], dtype=torch.float64),
        ... )
        >>> round(root_mean_square_calibration_error(bins, debiased=False).item(), 4)  # 0.75 - 0.4
        0.35
        >>> round(root_mean_square_calibration_error(bins, debiased=True).item() ** 2, 4)
        0.0625

    References:
        A. Kumar, P. Liang, T. Ma. Verified uncertainty calibration. NeurIPS 2019,
        arXiv:1909.10155 (the debiased estimator of the squared error; bins of one voxel as in the
        authors' code).
    """
    squared = _gaps(bins).square()
    if debiased:
        accuracy = bins.correct.double() / bins.count.clamp_min(1)
        expected = accuracy * (1 - accuracy) / (bins.count - 1).clamp_min(1)
        squared = (squared - expected).masked_fill(bins.count < 2, 0.0)
    mean = (squared * bins.count).sum(dim=1) / bins.count.sum(dim=1)
    return mean.clamp_min(0.0).sqrt()


def _gaps(bins: ReliabilityBins) -> Tensor:
    """Accuracy less confidence of each bin, zero for an empty one."""
    return (bins.correct - bins.confidence_sum) / bins.count.clamp_min(1)


def _bins_of(chunks: Iterable[tuple[Tensor, Tensor]], num_bins: int) -> tuple[Tensor, Tensor]:
    """Counts of wrong and right voxels, int64 ``(num_bins, 2)``, and sums of confidence."""
    sums = BinSums(num_bins)
    for probs, label in chunks:
        confidence, correct = top_label(probs, label)
        sums.add(confidence.double(), correct.double())
    return sums.count(), sums.total()
