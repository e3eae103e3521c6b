"""Could a difference between two methods on the same cases be chance?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["holm_correction", "lowest_p_value", "signed_rank_p_value"]

_MAX_EXACT = 200


def signed_rank_p_value(differences: Iterable[float]) -> float:
    r"""Wilcoxon's signed-rank test of paired differences, two-sided.

    The chance of rank sums at least as far apart if each difference were as likely to have the
    other sign. It is exact, with equal differences (which share their mean rank) and without, up to
    200 cases; beyond, it is the normal approximation.

    Args:
        differences: one a case. NaN is left out, and so are zeros, which have no sign (Wilcoxon's
            own treatment).

    Returns:
        The p-value in ``(0, 1]``: 1 if nothing differs, NaN without a case.

    Example:
        All of six cases on one side: two of the 64 ways to set six signs.

        >>> signed_rank_p_value([1, 2, 3, 4, 5, 6])
        0.03125

    References:
        F. Wilcoxon. Individual comparisons by ranking methods. Biometrics Bulletin 1(6), 1945.
    """
    known = np.asarray([value for value in differences if not math.isnan(value)], dtype=float)
    if known.size == 0:
        return math.nan
    signed = known[known != 0]
    if signed.size == 0:
        return 1.0
    if signed.size > _MAX_EXACT:
        return float(stats.wilcoxon(signed, method="approx").pvalue)
    # Mean ranks are halves at worst: doubled, they are whole numbers.
    ranks = np.rint(2 * stats.rankdata(np.abs(signed))).astype(int)
    chances = _chances(ranks)
    positive = int(ranks[signed > 0].sum())
    tails = chances[: positive + 1].sum(), chances[positive:].sum()
    return float(min(1.0, 2 * min(tails)))


def lowest_p_value(num_cases: int, *, num_tests: int = 1) -> float:
    """The lowest p-value that so few cases can give, however clear the difference.

    Args:
        num_cases: of a paired test.
        num_tests: how many tests it is corrected for.

    Returns:
        The p-value after Holm's correction.

    Example:
        >>> lowest_p_value(5), lowest_p_value(6), lowest_p_value(8, num_tests=7)
        (0.0625, 0.03125, 0.0546875)
    """
    return min(1.0, num_tests * 2.0 ** (1 - num_cases))


def holm_correction(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for how many they are, so that one below 0.05 is no accident of trying.

    Args:
        p_values: of tests that belong together; NaN means that one could not be made.

    Returns:
        Corrected p-values, in ``[0, 1]`` and never below the given ones; NaN stays.

    Example:
        >>> holm_correction([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]

    References:
        S. Holm. A simple sequentially rejective multiple test procedure. Scandinavian Journal of
        Statistics 6(2), 1979.
    """
    order = sorted(
        (index for index, value in enumerate(p_values) if not math.isnan(value)),
        key=lambda index: p_values[index],
    )
    corrected = [math.nan] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = highest
    return corrected


def _chances(ranks: np.ndarray) -> np.ndarray:
    """Chance of each sum of the positive ranks, when every sign is a toss of a coin."""
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks:
        with_it = np.zeros_like(chances)
        with_it[rank:] = chances[: chances.size - rank]
        chances = (chances + with_it) / 2
    return chances
