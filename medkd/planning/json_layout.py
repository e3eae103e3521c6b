"""JSON as a person writes it: short lists and objects on one line."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["format_json"]

_INDENT = 4
_WIDTH = 100


def format_json(content: Any) -> str:  # noqa: ANN401 - any JSON
    """Write JSON with an indent of four, and on one line what is flat and fits into 100 columns.

    Lists of numbers and texts, lists of such lists, and objects without objects in them that are
    entries of a list are put on one line. The order of the keys stays.

    Args:
        content: what JSON can hold.

    Returns:
        The text, with a line end.

    Example:
        >>> print(format_json({"size": [96, 96, 64], "steps": [{"keys": "image"}]}), end="")
        {
            "size": [96, 96, 64],
            "steps": [
                {"keys": "image"}
            ]
        }
    """
    return _format(content, indent=0, used=0) + "\n"


def _format(value: Any, *, indent: int, used: int, listed: bool = False) -> str:  # noqa: ANN401
    """``used``: columns that are taken before the value and by the comma after it."""
    if not isinstance(value, (dict, list, tuple)):
        return json.dumps(value, ensure_ascii=False)
    if not value or _is_flat(value, listed=listed):
        line = json.dumps(value, ensure_ascii=False)
        if used + len(line) <= _WIDTH:
            return line
    inner = indent + _INDENT
    pad = " " * inner
    if isinstance(value, dict):
        rows = [
            f"{key}: {_format(entry, indent=inner, used=inner + len(key) + 3)}"
            for key, entry in ((json.dumps(k, ensure_ascii=False), v) for k, v in value.items())
        ]
        first, last = "{", "}"
    else:
        rows = [_format(entry, indent=inner, used=inner + 1, listed=True) for entry in value]
        first, last = "[", "]"
    body = f",\n{pad}".join(rows)
    return f"{first}\n{pad}{body}\n{' ' * indent}{last}"


def _is_flat(value: Any, *, listed: bool) -> bool:  # noqa: ANN401
    if isinstance(value, dict):
        inside = value.values()
        return (
            (listed or len(value) == 1)
            and not any(isinstance(v, dict) for v in inside)
            and all(not isinstance(v, (list, tuple)) or _is_flat(v, listed=True) for v in inside)
        )
    return all(
        not isinstance(v, dict) and (not isinstance(v, (list, tuple)) or _is_flat(v, listed=True))
        for v in value
    )
