"""Whether the voxels that a NRRD or MetaImage header promises are there, whole."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from medkd.data.images.text_header import TextHeader

__all__ = ["check_stored_data"]

_CHUNK = 1 << 20
_ANY_WRAPPING = 47  # zlib's sign for a stream of zlib or gzip, whichever it is
_PACKED = ("gzip", "gz")
_TEXT = ("ascii", "text", "txt", "hex", "bzip2", "bz2")


def check_stored_data(path: Path, text: TextHeader, *, num_bytes: int) -> None:
    """Refuse voxels that are fewer than promised, or whose checksum is not that of their stream.

    A compressed stream is unpacked to its end, a piece at a time, because only there is its
    checksum; so no more memory is taken than a piece needs, whatever the header claims.

    Args:
        path: the header's file, for messages.
        text: what it says.
        num_bytes: how many bytes the voxels take in memory.

    Raises:
        OSError: if the file of the voxels cannot be read.
        ValueError: if the voxels are not all there, or damaged. Nothing is said of voxels
            that are written as text, or follow lines of text: their reader counts them.
    """
    encoding = text.fields.get("encoding", "raw").lower()
    is_text = encoding in _TEXT or text.fields.get("binarydata", "true").lower() in ("false", "0")
    if is_text or text.fields.get("lineskip", "0") != "0":
        return
    is_packed = encoding in _PACKED or text.fields.get("compresseddata", "").lower() in (
        "true",
        "1",
    )
    stored = text.data_file.stat().st_size - text.data_start
    try:
        found = sum(_unpacked(text, enough=num_bytes)) if is_packed else stored
    except (zlib.error, EOFError) as error:
        raise InvalidValueError(
            f"Expected {path} to be whole, but the compressed voxels are damaged ({error})."
        ) from error
    if found < num_bytes:
        raise InvalidValueError(
            f"Expected {path} to have {num_bytes} bytes of voxels, but got {found}: is it cut off?"
        )


def _unpacked(text: TextHeader, *, enough: int) -> Iterator[int]:
    """Sizes of the pieces of a stream, to its end."""
    total = 0
    with text.data_file.open("rb") as file:
        file.seek(text.data_start)
        stream, packed = zlib.decompressobj(_ANY_WRAPPING), b""
        while True:
            packed = packed or file.read(_CHUNK)
            size = len(stream.decompress(packed, _CHUNK))
            if not (packed or size or stream.eof):
                raise EOFError("the stream has no end")
            packed = stream.unconsumed_tail or stream.unused_data
            total += size
            yield size
            if stream.eof:
                if total >= enough or not (packed or (packed := file.read(_CHUNK))):
                    return
                stream = zlib.decompressobj(_ANY_WRAPPING)  # gzip may be several in a row
