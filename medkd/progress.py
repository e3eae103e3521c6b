"""Progress bars, which one process of several shows for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["hide_progress", "progress"]

_hidden = False


def progress(
    iterable: Iterable[Any] | None = None,
    *,
    disable: bool = False,
    **kwargs: Any,  # noqa: ANN401 - tqdm's
) -> tqdm[Any]:
    """A bar of tqdm; none where :func:`hide_progress` was called.

    Args:
        iterable: what is gone through; ``None`` for a bar that is moved by hand.
        disable: do not show this one.
        **kwargs: tqdm's.

    Returns:
        The bar.

    Example:
        >>> list(progress([1, 2], disable=True))
        [1, 2]
    """
    return tqdm(iterable, disable=disable or _hidden, **kwargs)


def hide_progress() -> None:
    """Show no bar in this process from now on: another one does."""
    global _hidden  # noqa: PLW0603 - it is the process that is meant
    _hidden = True
