"""Prepared cases in memory, for all of a process that works in one folder."""

from __future__ import annotations

import gc
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medkd.data.preparation.prepared_entry import PreparedEntry

__all__ = ["CaseMemory", "shared_memory"]


class CaseMemory:
    """Keeps what comes first while it fits, and nothing after that.

    Nothing is dropped for something new: cases are asked for in turn, so the one that was not
    asked for the longest is the next to be asked for.

    Args:
        capacity: in bytes of voxels.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self._entries: dict[str, PreparedEntry] = {}
        self._is_lent = False

    def get(self, key: str) -> PreparedEntry | None:
        """What was kept under a key, if anything."""
        return self._entries.get(key)

    def add(self, key: str, entry: PreparedEntry) -> None:
        """Keep an entry, if it fits."""
        if key not in self._entries and self._take(entry.nbytes):
            self._entries[key] = entry

    def lend(self, borrower: object, nbytes: int) -> bool:
        """Count what an object keeps itself, until it is gone.

        Args:
            borrower: the object.
            nbytes: how much more it keeps.

        Returns:
            Whether it fits.
        """
        if not self._take(nbytes):
            return False
        if nbytes:
            self._is_lent = True
            weakref.finalize(borrower, self._give_back, nbytes)
        return True

    def _take(self, nbytes: int) -> bool:
        if self.taken + nbytes > self.capacity and self._is_lent:
            # Engines and their data sets refer to each other, so they go when Python looks.
            self._is_lent = False
            gc.collect()
        if self.taken + nbytes > self.capacity:
            return False
        self.taken += nbytes
        return True

    def _give_back(self, nbytes: int) -> None:
        self.taken -= nbytes


_by_folder: weakref.WeakValueDictionary[Path, CaseMemory] = weakref.WeakValueDictionary()
_latest: list[CaseMemory] = []


def shared_memory(directory: Path, capacity: int) -> CaseMemory:
    """The memory of all that work with one folder in this process.

    The folder that was asked for last keeps its memory also while nobody works with it, as between
    two trainings of a run; those before it lose theirs with the last that works with it.

    Args:
        directory: the folder.
        capacity: in bytes; at most half of the machine's memory is used.

    Returns:
        The memory, with this capacity from now on.
    """
    directory = directory.absolute()
    memory = _by_folder.get(directory)
    if memory is None:
        memory = _by_folder[directory] = CaseMemory(capacity)
    memory.capacity = min(capacity, _half_of_machine())
    _latest[:] = [memory]
    return memory


def _half_of_machine() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError, OSError):  # not told on this system
        return 1 << 62
