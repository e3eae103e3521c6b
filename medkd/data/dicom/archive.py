"""Unpacking a zip archive from a stranger."""

from __future__ import annotations

import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

__all__ = ["unpack"]

_CHUNK_BYTES = 1 << 20
_MOST_FILES = 100_000
_MOST_BYTES = 32 << 30
_MOST_RATIO = 100  # of unpacked to packed; scans reach about 10, deflate 1032
_SMALL_BYTES = 64 << 20  # unpacked, below which a ratio means nothing
_KINDS = (0, stat.S_IFREG, stat.S_IFDIR)  # 0 where the archive was made on Windows


def unpack(archive: Path, folder: Path) -> None:
    """Unpack the files of an archive into one folder, under numbers.

    No name in the archive decides where a file lands, and none is shown: folders of exports are
    named after patients. The ending ``.dcm`` is kept.

    Args:
        archive: a zip file.
        folder: an existing, empty folder.

    Raises:
        ValueError: if the archive is damaged, encrypted or compressed in an unknown way, holds a
            path that leads out of it, a link or a device, more than 100,000 files, more than 32
            GiB, or more than 100 times its own size.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [member for member in opened.infolist() if not member.is_dir()]
            _check(opened.infolist(), archive=archive)
            for number, member in enumerate(members):
                suffix = ".dcm" if member.filename.lower().endswith(".dcm") else ""
                _write(opened, member, folder / f"{number:06d}{suffix}", archive=archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeError) as error:
        raise InvalidValueError(
            f"Expected {archive} to be a whole zip archive, but it cannot be unpacked."
        ) from error


def _check(members: list[ZipInfo], *, archive: Path) -> None:
    refusals = (
        (any(map(_leads_out, members)), "holds a path that leads out of it"),
        (any(not _is_plain(member) for member in members), "holds a link or a device"),
        (any(member.flag_bits & 1 for member in members), "is encrypted"),
        (len(members) > _MOST_FILES, f"holds more than {_MOST_FILES} files"),
        (_is_bomb(members), "would grow out of proportion when it is unpacked"),
    )
    for is_so, what in refusals:
        if is_so:
            raise InvalidValueError(
                f"Expected {archive} to be an archive of DICOM files, but it {what}."
            )


def _leads_out(member: ZipInfo) -> bool:
    # `filename` has been cut at a null byte by the library, `orig_filename` has not.
    return any(
        PurePosixPath(name).is_absolute()
        or bool(PureWindowsPath(name).anchor)
        or ".." in PureWindowsPath(name).parts
        for name in (member.filename, member.orig_filename)
    )


def _is_plain(member: ZipInfo) -> bool:
    return stat.S_IFMT(member.external_attr >> 16) in _KINDS


def _is_bomb(members: list[ZipInfo]) -> bool:
    unpacked = sum(member.file_size for member in members)
    packed = sum(member.compress_size for member in members)
    return unpacked > _MOST_BYTES or (unpacked > _SMALL_BYTES and unpacked > _MOST_RATIO * packed)


def _write(opened: ZipFile, member: ZipInfo, path: Path, *, archive: Path) -> None:
    """Copy one file, at most as long as the archive's list says: what was checked holds."""
    left = member.file_size
    with opened.open(member) as source, path.open("xb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise InvalidValueError(
                    f"Expected {archive} to be an archive of DICOM files, but a file in it is "
                    "longer than it says."
                )
            file.write(chunk)
