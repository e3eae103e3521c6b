"""Prepared cases on disk: whole or not there, no more than allowed, for several processes."""

from __future__ import annotations

import io
import logging
import os
import sys
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from medkd.files import atomic_write, remove_leftovers

# On Windows two processes may prepare one case, and that of one is kept.
_HAS_LOCKS = sys.platform != "win32"
if sys.platform != "win32":
    from fcntl import LOCK_EX, lockf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CaseStore"]

_log = logging.getLogger(__name__)

_MAGIC = b"medkd prepared case 1\n"
_CRC_BYTES = 4
_LOCK = ".lock"
# Of file systems that tell the time in steps of two seconds.
_CLOCK_STEP = 2.0


class CaseStore:
    """One file a case, named by its key, which holds tensors and plain containers.

    A file is written whole or not at all, and read with ``weights_only=True``; one that is damaged
    counts as not there. When the folder is full, what was not read for the longest makes room, but
    nothing that was read or written since this object was made: cases are asked for in turn, and
    the one that would go is the next to be asked for. A case that finds no room is not kept.

    Of several processes that want one case at once, one prepares it and the others wait for it.

    Args:
        directory: where the files lie; made when there is something to write.
        capacity: in bytes of files.
    """

    def __init__(self, directory: str | Path, capacity: int) -> None:
        self.directory = Path(directory)
        self.capacity = capacity
        self._since = time.time() - _CLOCK_STEP
        self._is_writable = capacity > 0

    def get(self, key: str, prepare: Callable[[], Any]) -> tuple[Any, bool]:
        """The content under a key, or what is prepared and kept under it.

        Args:
            key: 64 hexadecimal digits.
            prepare: called if there is nothing, or nothing whole. ``None`` is not kept.

        Returns:
            The content, and whether it was read; else it was prepared.
        """
        content = self._read(key)
        if content is not None:
            return content, True
        with self._turn(key) as lock:
            content = self._read(key)  # another may have written it meanwhile
            if content is not None:
                return content, True
            content = prepare()
            if content is not None and self._is_writable:
                self._write(key, content, lock)
        return content, False

    def holds(self, key: str) -> bool:
        """Whether there is a file under a key."""
        return self._path(key).is_file()

    def _path(self, key: str) -> Path:
        return self.directory / f"{key}.pt"

    def _read(self, key: str) -> Any:  # noqa: ANN401 - what was written
        path = self._path(key)
        try:
            content = memoryview(path.read_bytes())
            with suppress(OSError):  # a folder that may only be read
                os.utime(path)
        except OSError:
            return None
        start = len(_MAGIC) + _CRC_BYTES
        crc = int.from_bytes(content[len(_MAGIC) : start], "big")
        if content[: len(_MAGIC)] != _MAGIC or zlib.crc32(content[start:]) != crc:
            _log.warning("The prepared case %s is damaged, so it is prepared again.", path)
            return None
        try:
            return torch.load(io.BytesIO(content[start:]), weights_only=True)
        except Exception:  # whole, but of a device or a type that is not there any more
            _log.warning("The prepared case %s cannot be read, so it is prepared again.", path)
            return None

    def _write(self, key: str, content: Any, lock: int | None) -> None:  # noqa: ANN401
        buffer = io.BytesIO()
        torch.save(content, buffer)
        payload = buffer.getbuffer()
        size = len(_MAGIC) + _CRC_BYTES + len(payload)
        try:
            # One process writes at a time, so that together they keep to the bound.
            _wait_for(lock, 0)
            if lock is not None:
                remove_leftovers(self.directory)
            if not self._make_room(size):
                return
            with atomic_write(self._path(key)) as file:
                file.write(_MAGIC)
                file.write(zlib.crc32(payload).to_bytes(_CRC_BYTES, "big"))
                file.write(payload)
        except OSError as error:
            self._is_writable = False
            _log.warning("Prepared cases are no longer kept in %s: %s", self.directory, error)

    def _make_room(self, size: int) -> bool:
        """Remove what is old until a file of this size fits."""
        files = []
        for path in self.directory.glob("*.pt"):
            with suppress(FileNotFoundError):
                state = path.stat()
                files.append((state.st_mtime, state.st_size, path))
        total = size + sum(nbytes for _, nbytes, _ in files)
        old = [file for file in sorted(files) if file[0] < self._since]
        if total - sum(nbytes for _, nbytes, _ in old) > self.capacity:
            return False
        for _, nbytes, path in old:
            if total <= self.capacity:
                break
            path.unlink(missing_ok=True)
            total -= nbytes
        return True

    @contextmanager
    def _turn(self, key: str) -> Iterator[int | None]:
        """Wait until no other process prepares this case."""
        lock = None
        if _HAS_LOCKS and self._is_writable:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
                lock = os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                self._is_writable = False
                _log.warning("Prepared cases are not kept in %s: %s", self.directory, error)
        try:
            # Each key has a byte of its own, far beyond the end of the empty file.
            _wait_for(lock, 1 + int(key[:15], 16))
            yield lock
        finally:
            if lock is not None:
                os.close(lock)  # which gives back all of its bytes


def _wait_for(lock: int | None, byte: int) -> None:
    if lock is not None and sys.platform != "win32":
        with suppress(OSError):  # a file system without locks: work is done twice at worst
            lockf(lock, LOCK_EX, 1, byte)
