"""From contours in the plane of a slice to the pixels inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["fill_contours"]


def fill_contours(
    contours: Iterable[NDArray[np.floating[Any]]], *, shape: Sequence[int]
) -> NDArray[np.bool_]:
    """Fill closed contours by the even-odd rule: a contour within another is a hole.

    A pixel is inside if its center is; a center on an edge is inside to the left of and above the
    area, as graphics have it, so that two areas with a common edge share no pixel. The rule covers
    holes that are joined to the outline by a slit, too. Parts beyond the image are cut off.

    Args:
        contours: corners ``(P, 2)`` of each in pixels, column first; ``(0, 0)`` is the center of
            the first pixel. The last corner joins the first.
        shape: columns and rows ``(X, Y)``.

    Returns:
        True inside, ``(X, Y)``.

    Example:
        A square with a hole of one pixel:

        >>> square = np.array([[0, 0], [3, 0], [3, 3], [0, 3]]) - 0.5
        >>> hole = np.array([[0.5, 0.5], [1.5, 0.5], [1.5, 1.5], [0.5, 1.5]])
        >>> fill_contours([square, hole], shape=(4, 3)).T.astype(int)
        array([[1, 1, 1, 0],
               [1, 0, 1, 0],
               [1, 1, 1, 0]])

    References:
        J. D. Foley, A. van Dam, S. K. Feiner, J. F. Hughes. Computer graphics: principles and
        practice. Addison-Wesley, 2nd edition, 1990, section 3.6 (scan conversion of polygons).
    """
    columns, rows = shape
    # How often each row's line is crossed between a pixel's center and that of the one before.
    crossings = np.zeros((columns + 1, rows), dtype=np.int64)
    for contour in contours:
        _count_crossings(np.asarray(contour, dtype=np.float64), crossings)
    return np.cumsum(crossings[:columns], axis=0) % 2 == 1


def _count_crossings(contour: NDArray[np.float64], crossings: NDArray[np.int64]) -> None:
    columns, rows = crossings.shape[0] - 1, crossings.shape[1]
    ends = np.roll(contour, -1, axis=0)
    upper = np.where((contour[:, 1] <= ends[:, 1])[:, np.newaxis], contour, ends)
    lower = np.where((contour[:, 1] <= ends[:, 1])[:, np.newaxis], ends, contour)
    # An edge crosses the rows from its upper end, included, to its lower one, not included.
    first = np.clip(np.ceil(upper[:, 1]), 0, rows).astype(np.int64)
    count = np.clip(np.ceil(lower[:, 1]), 0, rows).astype(np.int64) - first
    edge = np.repeat(np.arange(len(contour)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    along = (row - upper[edge, 1]) / (lower[edge, 1] - upper[edge, 1])
    crossed = upper[edge, 0] + along * (lower[edge, 0] - upper[edge, 0])
    np.add.at(crossings, (np.clip(np.ceil(crossed), 0, columns).astype(np.int64), row), 1)
