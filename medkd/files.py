"""Writing files so that a reader never meets half of one, and where those of medkd are."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from medkd.errors import ExistingFileError, FileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = [
    "atomic_folder",
    "atomic_write",
    "bundle_names",
    "bundle_source",
    "remove_leftovers",
    "sha256_of",
]

_CHUNK_BYTES = 1 << 20


@contextmanager
def atomic_folder(path: str | Path, *, replace: bool = False) -> Iterator[Path]:
    """Make a temporary neighbor of a folder, which takes its place when the block ends well.

    Args:
        path: the folder to make; missing folders above it are made.
        replace: whether a folder at ``path`` is replaced, with all that is in it.

    Yields:
        The temporary folder, empty.

    Raises:
        OSError: if something is at ``path`` already that is not to be replaced, or the folder
            cannot be made. Then, and after an error in the block, no new folder is left, and what
            was at ``path`` is there as it was.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "new"
        >>> with atomic_folder(folder) as temporary:
        ...     _ = (temporary / "note.txt").write_text("whole")
        >>> [path.name for path in folder.iterdir()]
        ['note.txt']
    """
    path = Path(path).expanduser().resolve()
    if path.exists() and not replace:
        raise ExistingFileError(f"Expected a new folder for the output, but {path} exists.")
    missing = [folder for folder in path.parents if not folder.exists()]
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        _take_place(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for folder in missing:
            with suppress(OSError):  # it holds something of somebody else's by now
                folder.rmdir()
        raise


def _take_place(temporary: Path, path: Path) -> None:
    """A folder cannot be renamed over a full one, so the old one steps aside first."""
    if not path.exists():
        temporary.rename(path)
        return
    old = path.with_name(f"{temporary.name}.old")
    path.rename(old)
    try:
        temporary.rename(path)
    except BaseException:
        old.rename(path)
        raise
    shutil.rmtree(old)


@contextmanager
def atomic_write(path: str | Path, mode: str = "wb") -> Iterator[IO]:  # type: ignore[type-arg]
    r"""Open a temporary neighbor of ``path`` that takes its place when the block ends well.

    Whoever opens ``path`` sees the old content or the new, never a mixture, also after a
    ``kill -9`` or on a full disk. Missing folders are made.

    Args:
        path: the file to write or replace.
        mode: ``"wb"``, or ``"w"`` for UTF-8 text with ``\n`` line ends.

    Yields:
        The open temporary file.

    Raises:
        OSError: if the file cannot be written; it names ``path``, and no temporary file is left.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with atomic_write(folder / "new" / "note.txt", "w") as file:
        ...     _ = file.write("whole")
        >>> (folder / "new" / "note.txt").read_text()
        'whole'
    """
    path = Path(path)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    # Made by `open` and not by `tempfile`, so a result is as readable as any other new file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    own = {None, *map(str, (path, temporary, *path.parents))}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open(mode.replace("w", "x"), **text) as file:  # type: ignore[call-overload]
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        # Where its folder could not be made, this fails for the same reason.
        with suppress(OSError):
            temporary.unlink()
        # An error about another file, which the block met, passes as it is.
        if isinstance(error, OSError) and (error.filename and str(error.filename)) in own:
            message = f"Expected to write {path}, but got: {error.strerror or error}."
            raise FileError(error.errno, message, str(path)) from error
        raise


def bundle_source() -> Path:
    """Where the source of the bundles is: inside the package if installed, beside it in a checkout.

    Returns:
        The folder, which an installation without bundles lacks.
    """
    package = Path(__file__).parent
    inside = package / "bundles" / "source"
    return inside if inside.is_dir() else package.parent / "bundles" / "source"


def bundle_names() -> list[str]:
    """The bundles that come with medkd: what has a ``train.json`` in the source.

    Reading them takes no import of MONAI, which takes seconds.

    Returns:
        Their names, sorted.

    Example:
        >>> "end_kl" in bundle_names()
        True
    """
    return sorted(path.parent.name for path in bundle_source().glob("*/train.json"))


def remove_leftovers(folder: str | Path) -> None:
    """Remove the temporary files that :func:`atomic_write` leaves in a folder when it is killed.

    Args:
        folder: a folder that only this process writes to.
    """
    for leftover in Path(folder).glob(".*.tmp"):
        leftover.unlink()


def sha256_of(path: str | Path | Sequence[str | Path]) -> str:
    """SHA-256 of a file's content, in hexadecimal; of several files, one over them all.

    Args:
        path: the file, or the files of an image that has one a channel. Of several it is the
            SHA-256 of their own SHA-256 texts, one after the other, so their order counts.

    Returns:
        64 hexadecimal digits.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "empty"
        >>> _ = path.write_bytes(b"")
        >>> sha256_of(path)[:8]
        'e3b0c442'
        >>> sha256_of([path, path])[:8]
        '3b7546ed'
    """
    digest = hashlib.sha256()
    if not isinstance(path, str | Path):
        for one in path:
            digest.update(sha256_of(one).encode())
        return digest.hexdigest()
    with Path(path).open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
