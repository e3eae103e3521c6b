"""All files of an image, also those that its header names, and their digest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.data.images.readable_file import as_tuple
from medkd.data.images.text_header import read_text_header
from medkd.data.images.volume_formats import is_itk_volume
from medkd.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["image_files", "image_sha256"]

_PAIR = (".img", ".img.gz")  # of a header .hdr, as nibabel looks for it


def image_files(image: str | Path | Sequence[str | Path]) -> list[Path]:
    """Every file that an image is read from.

    Args:
        image: its file, or its files, one a channel, of any format.

    Returns:
        Each file, followed by the one that holds its voxels where that is another: the ``.raw``
        beside a ``.mhd`` or ``.nhdr``, the ``.img`` beside a ``.hdr``.

    Raises:
        OSError: if a header cannot be read.
        ValueError: if a header is none, or leads to no file beside it.

    Example:
        >>> [path.name for path in image_files(["a_0000.nii.gz", "a_0001.nii.gz"])]
        ['a_0000.nii.gz', 'a_0001.nii.gz']
    """
    files: list[Path] = []
    for path in map(Path, as_tuple(image)):
        files.append(path)
        if is_itk_volume(path):
            data_file = read_text_header(path).data_file
            files += [data_file] if data_file != path else []
        elif path.name.lower().endswith(".hdr"):
            files += [p for p in map(path.with_suffix, _PAIR) if p.is_file()][:1]
    return files


def image_sha256(image: str | Path | Sequence[str | Path]) -> str:
    """SHA-256 of all that an image is read from, which changes when a voxel does.

    Args:
        image: its file, or its files, one a channel.

    Returns:
        64 hexadecimal digits; those of :func:`medkd.files.sha256_of` for the same files where no
        header is detached.

    Raises:
        OSError: if a file cannot be read.
        ValueError: as for :func:`image_files`.
    """
    files = image_files(image)
    return sha256_of(image if len(files) == len(as_tuple(image)) else files)
