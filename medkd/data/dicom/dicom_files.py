"""Which DICOM files a folder, a zip archive or a file holds."""

from __future__ import annotations

import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from medkd.data.dicom.archive import unpack
from medkd.data.dicom.header_reading import is_dicom_file, quiet_pydicom, read_header
from medkd.errors import InvalidValueError, MissingFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom import Dataset

__all__ = ["DicomFile", "find_dicom_files", "is_dicom"]

_LFS_START = b"version https://git-lfs"


@dataclass(frozen=True)
class DicomFile:
    """A file and the part of its header that tells which series it is of.

    Args:
        path: where it is.
        header: names the patient, so ``repr`` does not show it; nor the path, which often does.
    """

    path: Path = field(repr=False)
    header: Dataset = field(repr=False)


def is_dicom(path: str | Path) -> bool:
    """Whether a path is for :func:`medkd.data.dicom.read_series` to read.

    Args:
        path: a file or a folder.

    Returns:
        True for a DICOM file, a zip archive, and a folder with a DICOM file at any depth. A file is
        DICOM by its mark, or by the ending ``.dcm`` or ``.ima``.

    Example:
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "scan.nii").write_bytes(bytes(352))
        >>> is_dicom(folder)
        False
        >>> _ = (folder / "IM0001").write_bytes(bytes(128) + b"DICM")
        >>> is_dicom(folder)
        True
    """
    path = Path(path).expanduser()
    if path.is_file():
        return is_dicom_file(path) or _is_zip(path)
    return any(map(is_dicom_file, _files_below(path)))


@contextmanager
def find_dicom_files(path: str | Path) -> Iterator[list[DicomFile]]:
    """Find the files; those of an archive exist until the block ends.

    Files that are not DICOM are passed over. Messages count files and never name them, because
    exports name files after patients.

    Args:
        path: a folder, a zip archive or a file.

    Yields:
        The files, in the order of their paths.

    Raises:
        OSError: if there is nothing at the path, or it cannot be read.
        ValueError: if there is no DICOM file, some are Git LFS pointers, or the archive is refused.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise MissingFileError(f"Expected DICOM files at {path}, but there is nothing.")
    if not (path.is_file() and _is_zip(path)):
        yield _read_headers([path] if path.is_file() else list(_files_below(path)), where=path)
        return
    with tempfile.TemporaryDirectory(prefix="medkd_") as folder:
        unpack(path, Path(folder))
        yield _read_headers(list(_files_below(Path(folder))), where=path)


def _is_zip(path: Path) -> bool:
    """By the ending too, for other formats such as NumPy's are zip archives within."""
    return path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)


def _files_below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _read_headers(paths: list[Path], *, where: Path) -> list[DicomFile]:
    named = [path for path in paths if is_dicom_file(path)]
    pointers = sum(map(_is_pointer, named))
    if pointers:
        raise InvalidValueError(
            f"Expected {where} to hold DICOM files, but {pointers} of {len(named)} are Git LFS "
            "pointers: the files themselves were not downloaded (`git lfs pull` does)."
        )
    with quiet_pydicom():
        headers = [(path, read_header(path)) for path in named]
    files = [DicomFile(path, header) for path, header in headers if header is not None]
    if not files:
        raise InvalidValueError(
            f"Expected {where} to hold DICOM files, but none of its {len(paths)} file(s) is one "
            "of a series."
        )
    return files


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_LFS_START)) == _LFS_START
