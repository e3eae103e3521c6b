"""A number that was chosen for a data set, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Choice"]


@dataclass(frozen=True)
class Choice:
    """A value and why it is that.

    Args:
        value: what goes into the bundle: numbers, texts, and lists and dictionaries of them.
        reason: one or two sentences in plain words, for the bundle's README.
    """

    value: Any
    reason: str
