"""From what is typed after an option to its value."""

from __future__ import annotations

__all__ = ["names"]


def names(text: str) -> list[str]:
    """Names with commas between.

    Args:
        text: the names.

    Returns:
        Each without the space around it.

    Example:
        >>> names("background, vessel")
        ['background', 'vessel']
    """
    return [name.strip() for name in text.split(",")]
