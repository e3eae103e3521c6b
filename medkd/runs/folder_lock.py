"""One process at a time in a folder: a lock that lets go when its process is dead."""

from __future__ import annotations

import json
import os
import socket
import time
import weakref
from pathlib import Path

from medkd.errors import FailureError

__all__ = ["FolderLock", "lock_folder"]

_NAME = ".lock"


class FolderLock:
    """Keeps other processes out of a folder until it is released, or its process is dead.

    It is the system's lock of a file, which goes with its process however that ends, so nobody has
    to remove anything after a kill. The file itself stays, and says who had it last.

    Args:
        folder: the folder; made if it is not there.

    Raises:
        RuntimeError: if another process has it, saying which one, where and since when.
        OSError: if the folder cannot be written to.
    """

    def __init__(self, folder: str | Path) -> None:
        self.path = Path(folder).resolve() / _NAME
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        self._closing = weakref.finalize(self, os.close, self._file)
        try:
            _lock_file(self._file)
        except OSError as error:
            other = _describe(self.path.read_text(encoding="utf-8"))
            self.release()
            raise FailureError(
                f"Expected {folder} to be free, but {other} is at work in it. Wait for it to end, "
                "or choose another --output_dir."
            ) from error
        os.ftruncate(self._file, 0)
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        owner = {"process": os.getpid(), "machine": socket.gethostname(), "since": since}
        os.write(self._file, json.dumps(owner).encode())

    @property
    def is_held(self) -> bool:
        """Whether it keeps others out of the folder, which may have been removed meanwhile."""
        if not self._closing.alive or not self.path.is_file():
            return False
        return os.path.samestat(self.path.stat(), os.fstat(self._file))

    def release(self) -> None:
        """Let others in."""
        self._closing()


_held: weakref.WeakValueDictionary[Path, FolderLock] = weakref.WeakValueDictionary()


def lock_folder(folder: str | Path) -> FolderLock:
    """Lock a folder for this process; whoever asks for it again within it shares the lock.

    Args:
        folder: the folder; made if it is not there.

    Returns:
        The lock, which is released when nobody refers to it any more.

    Raises:
        RuntimeError: if another process has it.
        OSError: if the folder cannot be written to.
    """
    path = Path(folder).resolve()
    lock = _held.get(path)
    if lock is None or not lock.is_held:
        lock = _held[path] = FolderLock(path)
    return lock


def _lock_file(file: int) -> None:
    try:
        import fcntl
    except ImportError:  # Windows, where nobody is kept out
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _describe(text: str) -> str:
    try:
        owner = json.loads(text)
        return f"process {owner['process']} on {owner['machine']}, since {owner['since']},"
    except (ValueError, KeyError, TypeError):
        return "another process"
