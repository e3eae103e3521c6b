"""Is the network unsure where it is wrong? Risk-coverage curve and detection of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd.functional._ranking import mean_running_risk, probability_of_right_order
from medkd.functional.error_histogram import ErrorBins

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "area_under_risk_coverage",
    "error_detection_auroc",
    "excess_area_under_risk_coverage",
    "risk_coverage_curve",
]


def risk_coverage_curve(bins: ErrorBins) -> tuple[Tensor, Tensor]:
    """Share of wrong voxels among the most certain ones, for every share of voxels that is kept.

    Args:
        bins: error bins of ``B`` cases; pool them first for one curve over all voxels.

    Returns:
        Coverage, the share of voxels in the bins up to each, and risk, the share of wrong ones
        among those: float64 ``(B, K)`` in ``[0, 1]``, from the most certain to the least. The last
        coverage is 1 and its risk the error rate. Risk is NaN where no voxel is covered yet, both
        are for a case without a valid voxel.

    Example:
        >>> import torch
        >>> from medkd.functional import ErrorBins, risk_coverage_curve
        >>> bins = ErrorBins(right=torch.tensor([[2, 0, 1]]), wrong=torch.tensor([[0, 0, 1]]))
        >>> coverage, risk = risk_coverage_curve(bins)
        >>> coverage.tolist(), risk.tolist()
        ([[0.5, 0.5, 1.0]], [[0.0, 0.0, 0.25]])

    References:
        Y. Geifman, R. El-Yaniv. Selective classification for deep neural networks. NIPS 2017,
        arXiv:1705.08500.
    """
    covered = (bins.right + bins.wrong).cumsum(dim=1)
    return covered.double() / covered[:, -1:], bins.wrong.cumsum(dim=1).double() / covered


def area_under_risk_coverage(bins: ErrorBins) -> Tensor:
    r"""Mean share of wrong voxels among the most certain ones, over all numbers of voxels kept.

    .. math::
        \mathrm{AURC} = \frac{1}{N} \sum_{i=1}^{N} \frac{1}{i} \sum_{j \le i} e_j

    with the error :math:`e_j \in \{0, 1\}` of the :math:`j`-th most certain voxel. Voxels of one
    bin are ties: the value is the expectation over their random order, in closed form.

    It judges the ranking and the accuracy together; compare methods of unequal accuracy by
    :func:`excess_area_under_risk_coverage`.

    Args:
        bins: error bins of ``B`` cases; pool them first for one number over all voxels.

    Returns:
        float64 ``(B,)`` in ``[0, 1]``, lower is better: 0 without an error, the error rate if
        uncertainty says nothing. NaN for a case without a valid voxel.

    Example:
        The error is kept last of four: risk 0, 0, 0, 1/4.

        >>> import torch
        >>> from medkd.functional import ErrorBins, area_under_risk_coverage
        >>> bins = ErrorBins(right=torch.tensor([[3, 0]]), wrong=torch.tensor([[0, 1]]))
        >>> round(area_under_risk_coverage(bins).item(), 12)
        0.0625

    References:
        Y. Geifman, G. Uziel, R. El-Yaniv. Bias-reduced uncertainty estimation for deep neural
        classifiers. ICLR 2019, arXiv:1805.08206.
    """
    return mean_running_risk(bins.right + bins.wrong, bins.wrong)


def excess_area_under_risk_coverage(bins: ErrorBins) -> Tensor:
    r"""Area under the risk-coverage curve above that of an oracle that ranks all errors last.

    With :math:`n` right voxels of :math:`N`, the oracle's area is

    .. math::
        \frac{1}{N} \sum_{i=n+1}^{N} \frac{i-n}{i}
        = \frac{1}{N} \Big( N - n - n \big(\psi(N + 1) - \psi(n + 1)\big) \Big)

    exactly, where Geifman et al. take its limit for large :math:`N`.

    Args:
        bins: error bins of ``B`` cases; pool them first for one number over all voxels.

    Returns:
        float64 ``(B,)`` in ``[0, 1)``, lower is better, 0 for a perfect ranking; NaN for a case
        without a valid voxel.

    Example:
        The error is kept first of two: risk 1, 1/2 where the oracle has 0, 1/2.

        >>> import torch
        >>> from medkd.functional import ErrorBins, excess_area_under_risk_coverage
        >>> bins = ErrorBins(right=torch.tensor([[0, 1]]), wrong=torch.tensor([[1, 0]]))
        >>> excess_area_under_risk_coverage(bins).item()
        0.5

    References:
        Y. Geifman, G. Uziel, R. El-Yaniv. Bias-reduced uncertainty estimation for deep neural
        classifiers. ICLR 2019, arXiv:1805.08206.
    """
    right, wrong = (part.sum(dim=1, keepdim=True) for part in (bins.right, bins.wrong))
    nothing = torch.zeros_like(right)
    oracle = ErrorBins(
        right=torch.cat([right, nothing], dim=1), wrong=torch.cat([nothing, wrong], dim=1)
    )
    excess = area_under_risk_coverage(bins) - area_under_risk_coverage(oracle)
    return excess.clamp_min(0.0)  # rounding may put a perfect ranking a little below zero


def error_detection_auroc(bins: ErrorBins) -> Tensor:
    """Probability that a wrong voxel is less certain than a right one, ties counting half.

    The area under the receiver operating characteristic of uncertainty as a detector of errors. It
    judges the ranking alone, whatever the error rate.

    Args:
        bins: error bins of ``B`` cases; pool them first for one number over all voxels.

    Returns:
        float64 ``(B,)`` in ``[0, 1]``, higher is better, 1/2 if uncertainty says nothing; NaN for a
        case without a wrong or without a right voxel.

    Example:
        Of the four pairs three are in the right order and one is a tie:

        >>> import torch
        >>> from medkd.functional import ErrorBins, error_detection_auroc
        >>> bins = ErrorBins(right=torch.tensor([[1, 1, 0]]), wrong=torch.tensor([[0, 1, 1]]))
        >>> error_detection_auroc(bins).item()
        0.875

    References:
        J. A. Hanley, B. J. McNeil. The meaning and use of the area under a receiver operating
        characteristic (ROC) curve. Radiology 143(1), 29-36, 1982.
    """
    return probability_of_right_order(bins.right, bins.wrong)
