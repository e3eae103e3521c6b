"""What the command says to a person at a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from medkd.texts import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["aligned", "write", "write_problem"]


def write(text: str) -> None:
    """Write a line of result to the standard output.

    Args:
        text: the line, or several.
    """
    sys.stdout.write(printable(f"{text}\n", sys.stdout.encoding))


def write_problem(severity: str, text: str) -> None:
    """Write one line to the standard error, so that results can be piped without it.

    Args:
        severity: ``"error"`` or ``"warning"``.
        text: one sentence.
    """
    line = f"medkd: {severity}: {one_line(text)}\n"
    sys.stderr.write(printable(line, sys.stderr.encoding))


def aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the last one ragged.

    Args:
        header: title of each column.
        rows: the cells.

    Returns:
        The table as lines.

    Example:
        >>> for line in aligned(("case", "what"), [("a", "x"), ("long name", "y")]).splitlines():
        ...     print(repr(line))
        'case       what'
        'a          x'
        'long name  y'
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    )
    return "\n".join(lines)
