"""What the file readers share: the faults that a decoder would only call 'cannot identify'."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError, MissingFileError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["as_tuple", "check_readable"]

_LFS_START = b"version https://git-lfs"


def as_tuple(names: Sequence[str | Path] | str | Path) -> tuple[str | Path, ...]:
    """One path or several, as MONAI hands them to a reader.

    Args:
        names: a path, or a sequence of them.

    Returns:
        All of them.
    """
    return (names,) if isinstance(names, (str, Path)) else tuple(names)


def check_readable(path: Path, *, suffixes: Sequence[str]) -> None:
    """Refuse what is no file, is empty, was not downloaded, or has another ending.

    Args:
        path: the file.
        suffixes: endings in lower case, any of which is right.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is empty, a Git LFS pointer, or has another ending.
    """
    if not path.is_file():
        raise MissingFileError(f"Expected an image file at {path}, but there is none.")
    with path.open("rb") as file:
        start = file.read(len(_LFS_START))
    if not start:
        raise InvalidValueError(f"Expected {path} to be an image, but got an empty file.")
    if start == _LFS_START:
        raise InvalidValueError(
            f"Expected {path} to be an image, but got a Git LFS pointer: the file itself was not "
            "downloaded (`git lfs pull` does)."
        )
    if not path.name.lower().endswith(tuple(suffixes)):
        raise InvalidValueError(
            f"Expected {path} to end with one of {', '.join(suffixes)}, but got {path.suffix!r}."
        )
