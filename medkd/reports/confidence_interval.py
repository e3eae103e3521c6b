"""How far the mean over cases may be from that over all cases there could be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Interval", "bootstrap_interval"]

_NUM_RESAMPLES = 9999
_PERCENTILES = (2.5, 97.5)
_BLOCK = 2_000_000  # drawn cases at a time: 16 MB


@dataclass(frozen=True)
class Interval:
    """A range with both its ends."""

    low: float
    high: float


def bootstrap_interval(values: Iterable[float]) -> Interval | None:
    """95 % percentile bootstrap interval of the mean over cases.

    Cases are drawn with replacement 9,999 times, and the means' percentiles 2.5 and 97.5 are its
    ends. The draw has a fixed seed and depends on the number of cases alone, so equal values have
    equal intervals, and what is drawn for one method is drawn for all. With few cases such an
    interval is too narrow (for ten, by a tenth or more).

    Args:
        values: one a case; NaN means that the case has none, and is left out.

    Returns:
        The interval; ``None`` for fewer than two cases, or where a value is infinite.

    Example:
        >>> bootstrap_interval([0.5, 0.5, 0.5, float("nan")])
        Interval(low=0.5, high=0.5)

    References:
        B. Efron, R. J. Tibshirani. An introduction to the bootstrap. Chapman & Hall, 1993,
        chapter 13.
    """
    known = tuple(float(value) for value in values if not math.isnan(value))
    if len(known) < 2 or not all(map(math.isfinite, known)):
        return None
    return _interval(known)


# The page, the JSON and the CSV ask for the same intervals.
@lru_cache(maxsize=8192)
def _interval(known: tuple[float, ...]) -> Interval:
    values = np.asarray(known)
    if (values == values[0]).all():
        return Interval(known[0], known[0])
    random = np.random.default_rng(0)
    size = len(values)
    rows = max(_BLOCK // size, 1)
    means = [
        values[random.integers(size, size=(min(rows, _NUM_RESAMPLES - start), size))].mean(axis=1)
        for start in range(0, _NUM_RESAMPLES, rows)
    ]
    low, high = np.percentile(np.concatenate(means), _PERCENTILES)
    return Interval(float(low), float(high))
