"""Numbers as the tables and sentences of a report show them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from medkd.reports.confidence_interval import Interval

__all__ = [
    "NO_VALUE",
    "duration_text",
    "interval_text",
    "number_text",
    "p_text",
    "score_digits",
    "seconds_text",
    "size_text",
]

NO_VALUE = "–"  # noqa: RUF001 - the dash of typeset tables
"""What a table shows where there is no number."""

_MINUS = "−"  # noqa: RUF001 - the minus of typeset tables
_SCORE_DIGITS = 4
_MAX_SCORE_DIGITS = 5
_WHOLE_SECONDS = 100
_LOWEST_P = 0.0005
_THOUSAND = 1000
_NO_FRACTION = 100
_MINUTE, _HOUR = 60, 3600


def interval_text(interval: Interval | None, digits: int) -> str:
    """Both ends of an interval.

    Args:
        interval: or none.
        digits: after the point.

    Returns:
        Text; empty for none.

    Example:
        >>> from medkd.reports.confidence_interval import Interval
        >>> interval_text(Interval(0.25, 0.5), 2)
        '0.25–0.50'
        >>> interval_text(Interval(-0.25, 0.5), 1)
        '−0.2 to 0.5'
    """  # noqa: RUF002 - typeset
    if interval is None:
        return ""
    between = " to " if interval.low < 0 else NO_VALUE
    return f"{number_text(interval.low, digits)}{between}{number_text(interval.high, digits)}"


def number_text(value: float, digits: int, *, sign: str = "") -> str:
    """A number as it is typeset, with a true minus.

    Args:
        value: finite.
        digits: after the point.
        sign: ``"+"`` to give a plus to what is positive.

    Returns:
        Text.

    Example:
        >>> number_text(1234.5, 1), number_text(0.25, 1, sign="+")
        ('1,234.5', '+0.2')
    """
    return f"{value:{sign},.{digits}f}".replace("-", _MINUS)


def score_digits(means: Iterable[float]) -> int:
    """Digits after the point that tell small means apart.

    Args:
        means: those of one column.

    Returns:
        4, or 5 where all means are below a hundredth.

    Example:
        >>> score_digits([0.82, 0.0004]), score_digits([0.004, 0.0004])
        (4, 5)
    """
    sizes = [abs(mean) for mean in means if math.isfinite(mean) and mean != 0]
    zeros = -math.floor(math.log10(max(sizes))) - 1 if sizes else 0
    return min(max(_SCORE_DIGITS, _SCORE_DIGITS + zeros - 1), _MAX_SCORE_DIGITS)


def seconds_text(seconds: float) -> str:
    """A time with three figures, or whole seconds.

    Args:
        seconds: the time.

    Returns:
        Text without the unit.

    Example:
        >>> seconds_text(0.4263), seconds_text(1234.5)
        ('0.426', '1,234')
    """
    if not math.isfinite(seconds):
        return NO_VALUE
    return f"{seconds:.3g}" if seconds < _WHOLE_SECONDS else f"{seconds:,.0f}"


def size_text(number: float, step: int, unit: str) -> str:
    """A large number with three figures and a prefix.

    Args:
        number: zero or more.
        step: from one prefix to the next, 1000 or 1024.
        unit: what follows the prefix.

    Returns:
        Text.

    Example:
        >>> size_text(2_500_000_000, 1000, ""), size_text(3 * 1024**2, 1024, "iB")
        ('2.5 G', '3 MiB')
    """
    prefixes = iter("kMGTP") if step == _THOUSAND else iter("KMGTP")
    prefix = ""
    while number >= step and (following := next(prefixes, "")):
        number, prefix = number / step, following
    digits = f"{number:.0f}" if number >= _NO_FRACTION else f"{number:.3g}"
    return f"{digits} {prefix}{unit if prefix else unit[1:]}".strip()


def duration_text(seconds: float) -> str:
    """A time in the unit that suits it.

    Args:
        seconds: the time.

    Returns:
        Text.

    Example:
        >>> duration_text(42.3), duration_text(600), duration_text(9000)
        ('42 s', '10 min', '2 h 30 min')
    """
    if not math.isfinite(seconds):
        return NO_VALUE
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    hours, rest = divmod(round(seconds / _MINUTE), _MINUTE)
    return f"{hours} h {rest} min" if rest else f"{hours} h"


def p_text(p_value: float) -> str:
    """A p-value as tables show it.

    Args:
        p_value: in ``[0, 1]``, or NaN.

    Returns:
        Three digits after the point, or that it is below the last of them.

    Example:
        >>> p_text(0.03125), p_text(0.00002)
        ('0.031', '< 0.001')
    """
    if p_value != p_value:
        return NO_VALUE
    return f"{p_value:.3f}" if p_value >= _LOWEST_P else "< 0.001"
