"""A soft label as a file: codes in compressed chunks, so that a crop reads little of it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import h5py
import torch

from medkd.data.images.stored_array import stored_array
from medkd.errors import InvalidValueError
from medkd.files import atomic_write
from medkd.functional import encode_probs

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_codes", "write_codes"]

_DATASET = "codes"
_DTYPE = "uint8"
# About 2^16 voxels a chunk: a crop reads few voxels that it does not need, and a whole case is few
# chunks. Below gzip level 4 a level costs time and saves nothing: most chunks are all background.
_CHUNK_EDGES = {1: 65536, 2: 256, 3: 32}
_GZIP_LEVEL = 1


def write_codes(path: str | Path, probs: torch.Tensor) -> None:
    """Write the codes of one case, whole or not at all.

    The case is encoded a slab of chunks at a time, and what is held besides is the compressed file.

    Args:
        path: the HDF5 file to write or replace.
        probs: probabilities, ``(C, *spatial)``, one when summed over ``C``. Not modified.

    Raises:
        OSError: if the file cannot be written.
    """
    num_classes, *spatial = probs.shape
    edge = _CHUNK_EDGES[len(spatial)]
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        codes = file.create_dataset(
            _DATASET,
            shape=(num_classes - 1, *spatial),
            dtype=_DTYPE,
            chunks=(num_classes - 1, *(min(edge, size) for size in spatial)),
            compression="gzip",
            compression_opts=_GZIP_LEVEL,
            fletcher32=True,  # a flipped bit is an error, not a label
        )
        for start in range(0, spatial[0], edge):
            slab = probs[:, start : start + edge].unsqueeze(0)
            codes[:, start : start + edge] = encode_probs(slab).squeeze(0).cpu().numpy()
    with atomic_write(path) as target:
        target.write(content.getbuffer())


def read_codes(path: str | Path, region: tuple[slice, ...] = ()) -> torch.Tensor:
    """Read the codes of one case, or a crop of them.

    Args:
        path: a file of :func:`write_codes`.
        region: a slice for each spatial axis; all of it by default.

    Returns:
        uint8 ``(C - 1, *spatial)``, for :func:`medkd.functional.decode_probs`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, or is something else, such as a link to another file.
    """
    try:
        # No lock: a file is replaced, never changed, and some network disks have no locks.
        with h5py.File(path, "r", locking=False) as file:
            stored = stored_array(file, _DATASET)
            if stored.dtype != _DTYPE or stored.ndim - 1 not in _CHUNK_EDGES:
                raise InvalidValueError(f"Expected codes, but got {stored.dtype} {stored.shape}.")
            codes = stored[(slice(None), *region)]
    except FileNotFoundError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise InvalidValueError(
            f"Expected {path} to hold a soft label, but it cannot be read as such: it is damaged, "
            "or was written by something else. Remove it to have it written again."
        ) from error
    return torch.from_numpy(codes)
