"""Does the uncertainty of a case say how good its segmentation is? Vectors over cases."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd._checks import check_same_shape
from medkd.errors import InvalidTypeError, InvalidValueError
from medkd.functional._ranking import mean_running_risk, probability_of_right_order

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["failure_aurc", "failure_auroc", "rank_correlation"]


def failure_auroc(case_uncertainty: Tensor, case_quality: Tensor, *, threshold: float) -> Tensor:
    """Probability that a failed case is less certain than a case that did not fail, ties half.

    A case fails if its quality is below the threshold.

    Args:
        case_uncertainty: one number per case, such as the mean entropy, ``(cases,)``, higher is
            less certain.
        case_quality: one number per case, such as Dice, ``(cases,)``, higher is better. A case of
            which either number is NaN is left out.
        threshold: the lowest quality that is no failure.

    Returns:
        float64 ``()`` in ``[0, 1]``, higher is better, 1/2 if uncertainty says nothing; NaN if no
        case or every case fails.

    Raises:
        ValueError: if the two are not vectors of one length.
        TypeError: if either is not floating point.

    Example:
        Two failures, one of them less certain than both good cases, one than neither:

        >>> import torch
        >>> from medkd.functional import failure_auroc
        >>> uncertainty = torch.tensor([0.1, 0.2, 0.3, 0.4])
        >>> dice = torch.tensor([0.5, 0.9, 0.8, 0.4])
        >>> failure_auroc(uncertainty, dice, threshold=0.7).item()
        0.5

    References:
        P. F. Jaeger, C. T. Luth, L. Klein, T. J. Bungert. A call to reflect on evaluation practices
        for failure detection in image classification. ICLR 2023, arXiv:2211.15259.
    """
    uncertainty, quality = _scored(
        case_uncertainty, case_quality, "case_uncertainty", "case_quality"
    )
    failed = quality < threshold  # in its own dtype: 0.7 in float32 is no failure at 0.7
    group = _group_of(uncertainty)
    return probability_of_right_order(
        torch.bincount(group[~failed], minlength=group.numel()),
        torch.bincount(group[failed], minlength=group.numel()),
    )


def failure_aurc(case_uncertainty: Tensor, case_quality: Tensor) -> Tensor:
    r"""Mean risk of the most certain cases, over all numbers of cases kept.

    .. math::
        \mathrm{AURC} = \frac{1}{N} \sum_{i=1}^{N} \frac{1}{i} \sum_{j \le i} (1 - q_j)

    with the quality :math:`q_j` of the :math:`j`-th most certain case: a graded risk, which needs
    no threshold of failure. Equally certain cases are ties: the value is the expectation over their
    random order.

    Args:
        case_uncertainty: one number per case, such as the mean entropy, ``(cases,)``, higher is
            less certain.
        case_quality: one number per case, such as Dice, ``(cases,)``, with 1 as the best. A case of
            which either number is NaN is left out.

    Returns:
        float64 ``()``, lower is better: the mean risk if uncertainty says nothing. NaN if no case
        is left.

    Raises:
        ValueError: if the two are not vectors of one length.
        TypeError: if either is not floating point.

    Example:
        The worse case is kept last: risk 0 of the first, 1/4 of both.

        >>> import torch
        >>> from medkd.functional import failure_aurc
        >>> failure_aurc(torch.tensor([0.1, 0.2]), torch.tensor([1.0, 0.5])).item()
        0.125

    References:
        Y. Geifman, G. Uziel, R. El-Yaniv. Bias-reduced uncertainty estimation for deep neural
        classifiers. ICLR 2019, arXiv:1805.08206.
        M. Zenk et al. Comparative benchmarking of failure detection methods in medical image
        segmentation: unveiling the role of confidence aggregation. arXiv:2406.03323 (1 - Dice as
        risk).
    """
    uncertainty, quality = _scored(
        case_uncertainty, case_quality, "case_uncertainty", "case_quality"
    )
    if uncertainty.numel() == 0:
        return uncertainty.new_full((), torch.nan, dtype=torch.float64)
    group = _group_of(uncertainty)
    return mean_running_risk(torch.bincount(group), torch.bincount(group, 1 - quality.double()))


def rank_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Spearman's correlation of two scores over cases: Pearson's of their ranks, ties averaged.

    Args:
        first: one number per case, ``(cases,)``, such as the mean entropy.
        second: another number per case, ``(cases,)``, such as Dice. A case of which either number
            is NaN is left out.

    Returns:
        float64 ``()`` in ``[-1, 1]``; NaN if either is the same for all cases, or fewer than two
        are left.

    Raises:
        ValueError: if the two are not vectors of one length.
        TypeError: if either is not floating point.

    Example:
        The ranks are 1, 2, 3 and 3, 1, 2:

        >>> import torch
        >>> from medkd.functional import rank_correlation
        >>> rank_correlation(torch.tensor([0.1, 0.2, 0.9]), torch.tensor([0.9, 0.1, 0.5])).item()
        -0.5

    References:
        C. Spearman. The proof and measurement of association between two things. American Journal
        of Psychology 15(1), 72-101, 1904.
    """
    first, second = _scored(first, second, "first", "second")
    first_ranks, second_ranks = _centered_ranks(first), _centered_ranks(second)
    spread = (first_ranks.square().sum() * second_ranks.square().sum()).sqrt()
    return (first_ranks * second_ranks).sum() / spread  # 0 / 0 is the NaN of no spread


def _scored(
    first: Tensor, second: Tensor, first_name: str, second_name: str
) -> tuple[Tensor, Tensor]:
    """Both vectors of the cases that have both numbers."""
    for vector, name in ((first, first_name), (second, second_name)):
        if not vector.is_floating_point():
            raise InvalidTypeError(
                f"Expected `{name}` of a floating-point dtype, but got {vector.dtype}."
            )
        if vector.ndim != 1:
            raise InvalidValueError(
                f"Expected `{name}` of shape (cases,), but got shape {tuple(vector.shape)}."
            )
    check_same_shape(second, first, second_name, first_name)
    scored = ~(first.isnan() | second.isnan())
    return first.detach()[scored], second.detach()[scored]


def _group_of(values: Tensor) -> Tensor:
    """Index of each value among the distinct ones, the lowest first, int64 ``(cases,)``."""
    return values.unique(sorted=True, return_inverse=True)[1]


def _centered_ranks(values: Tensor) -> Tensor:
    """Ranks from which their mean is taken away, equal values sharing the mean of their ranks."""
    group = _group_of(values)
    count = torch.bincount(group).double()
    return (count.cumsum(dim=0) - (count - 1) / 2)[group] - (values.numel() + 1) / 2
