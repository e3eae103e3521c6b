"""The JSON files of a run, read and written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from medkd.errors import InvalidValueError, MissingFileError
from medkd.files import atomic_write

__all__ = ["read_json", "write_json"]


def read_json(path: str | Path) -> Any:  # noqa: ANN401 - any JSON
    """Read a JSON file of a run.

    Args:
        path: the file.

    Returns:
        Its content.

    Raises:
        FileNotFoundError: if there is none.
        ValueError: if it is damaged; the message names it.
    """
    if not Path(path).is_file():
        raise MissingFileError(f"Expected the file {path} of a run, but there is none.")
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:  # of JSON, and of what is not UTF-8
        raise InvalidValueError(
            f"Expected {path} to be JSON that medkd wrote, but it is damaged: {error}. Remove it, "
            "and the training's own command makes it again."
        ) from error


def write_json(path: str | Path, content: object, *, indent: int = 4) -> None:
    """Write a JSON file of a run, whole or not at all.

    Args:
        path: the file to write or replace.
        content: JSON; what is none is written as its text.
        indent: columns by level.

    Raises:
        OSError: if it cannot be written.
    """
    with atomic_write(path, "w") as file:
        json.dump(content, file, indent=indent, default=str)
