"""An array of an HDF5 file that lies in that file and nowhere else."""

from __future__ import annotations

from math import ceil, prod

import h5py

from medkd.errors import InvalidValueError

__all__ = ["stored_array"]

_FILTERS = ("gzip", "lzf", None)  # which come with HDF5; others are libraries that it loads


def stored_array(file: h5py.File, name: str) -> h5py.Dataset:
    """Find an array, and refuse one that would be read from another file, or is not all there.

    HDF5 follows links, and gathers arrays, from any file of the machine; it loads what unpacks an
    array from a folder of libraries; and what was never written it makes up, at any size. So a
    small file of a stranger's may show a large array, or somebody else's.

    Args:
        file: the file.
        name: of the array, at the top.

    Returns:
        The array, not read.

    Raises:
        KeyError: if there is nothing of this name.
        ValueError: if it is no array of the file itself, or parts of it were never written.
    """
    link = file.get(name, getlink=True)
    if link is None:
        raise KeyError(name)
    found = file[name] if isinstance(link, h5py.HardLink) else None
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise InvalidValueError(
            f"Expected {name!r} of {file.filename} to be an array of the file itself, but it is "
            "a link, is gathered from other files, or is none."
        )
    if found.compression not in _FILTERS or not _is_whole(found):
        raise InvalidValueError(
            f"Expected {name!r} of {file.filename} to be an array that is all there, packed by "
            f"gzip or lzf if at all, but parts were never written, or it is packed otherwise."
        )
    return found


def _is_whole(array: h5py.Dataset) -> bool:
    if array.chunks is None:
        return array.size == 0 or array.id.get_storage_size() >= array.nbytes
    sides = zip(array.shape, array.chunks, strict=True)
    return bool(array.id.get_num_chunks() == prod(ceil(size / side) for size, side in sides))
