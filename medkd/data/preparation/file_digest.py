"""The content of a file in a few digits, read once in a process while the file stays as it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

from medkd.files import sha256_of

__all__ = ["bytes_digest", "file_digest"]

_known: dict[Path, tuple[tuple[int, ...], str]] = {}


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    A file that was read before in this process is read again only if its size, its times or its
    place on the disk have changed. The time of its last change counts, which no program can set
    back as it can that of its last writing.

    Args:
        path: the file.

    Returns:
        64 hexadecimal digits.

    Raises:
        OSError: if the file cannot be read.
    """
    path = Path(path).absolute()
    found = path.stat()
    state = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
    if path not in _known or _known[path][0] != state:
        _known[path] = (state, sha256_of(path))
    return _known[path][1]


def bytes_digest(content: bytes) -> str:
    """SHA-256 of bytes, in hexadecimal.

    Args:
        content: the bytes.

    Returns:
        64 hexadecimal digits.
    """
    return hashlib.sha256(content).hexdigest()
