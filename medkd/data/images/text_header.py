"""The text that NRRD and MetaImage files begin with, and where it says that the voxels are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

from medkd.data.images.volume_formats import image_io_of
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

__all__ = ["TextHeader", "read_text_header"]

_LONGEST_LINE = 1 << 16
_MOST_LINES = 1 << 14
_NRRD_START = b"NRRD000"
_NRRD_FIELD = re.compile(r"\s*(?P<key>[\w ]+?)\s*:(?!=)\s*(?P<value>.*?)\s*")
_META_FIELD = re.compile(r"\s*(?P<key>\w+)\s*[=:]\s*(?P<value>.*?)\s*")
_DATA_FILE = {"NrrdImageIO": "datafile", "MetaImageIO": "elementdatafile"}


@dataclass(frozen=True)
class TextHeader:
    """What the text at the start of a NRRD or MetaImage file says.

    Args:
        fields: what is stated, by its key in lower case without blanks.
        data_file: the file that holds the voxels, which is the header's own unless it is detached.
        data_start: the first byte of the voxels in it.
    """

    fields: dict[str, str]
    data_file: Path
    data_start: int


def read_text_header(path: Path) -> TextHeader:
    r"""Read the text of a header, and find the voxels.

    A header may keep its voxels in another file. That must lie beside it or below, because a data
    set is its folder: a header from elsewhere must not make a program read what it was not given.

    Args:
        path: a NRRD or MetaImage file.

    Returns:
        Its text, taken apart.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is no such header, or the voxels are in several files, outside of the
            header's folder, or in a file that is not there.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "scan.raw").write_bytes(bytes(6))
        >>> header = "NDims = 3\nDimSize = 3 2 1\nElementDataFile = scan.raw\n"
        >>> _ = (folder / "scan.mhd").write_text(header)
        >>> found = read_text_header(folder / "scan.mhd")
        >>> found.data_file.name, found.fields["dimsize"]
        ('scan.raw', '3 2 1')
    """
    image_io = image_io_of(path)
    data_key = _DATA_FILE[image_io]
    read_lines = _nrrd_lines if image_io == "NrrdImageIO" else _meta_lines
    with path.open("rb") as file:
        fields = _read_fields(path, read_lines(path, file), data_key=data_key)
        position = file.tell()
    name = fields.get(data_key, "")
    if not name or (image_io == "MetaImageIO" and name.lower() == "local"):
        return TextHeader(fields, path, position)
    return TextHeader(fields, _beside(path, name), 0)


def _read_fields(path: Path, lines: Iterator[re.Match[str]], *, data_key: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for match in lines:
        key = match["key"].lower().replace(" ", "")
        # Which of two counts, programs may see differently.
        if key == data_key and key in fields:
            raise InvalidValueError(
                f"Expected {path} to say once where its voxels are, but got {fields[key]!r} and "
                f"{match['value']!r}."
            )
        fields.setdefault(key, match["value"])
    return fields


def _nrrd_lines(path: Path, file: BinaryIO) -> Iterator[re.Match[str]]:
    """The fields, up to the empty line or, where the voxels are elsewhere, the end of the file."""
    if not file.readline(_LONGEST_LINE).startswith(_NRRD_START):
        raise InvalidValueError(
            f"Expected {path} to be NRRD, but it does not begin with {_NRRD_START.decode()!r}."
        )
    for line in _lines(path, file):
        if not line:
            return
        # SimpleITK ends a line also at a lone carriage return.
        yield from filter(None, map(_NRRD_FIELD.fullmatch, line.split("\r")))


def _meta_lines(path: Path, file: BinaryIO) -> Iterator[re.Match[str]]:
    """The fields up to ``ElementDataFile``, which is always the last."""
    for line in _lines(path, file):
        match = _META_FIELD.fullmatch(line)
        if match is not None:
            yield match
        if _DATA_FILE["MetaImageIO"] in line.lower():
            # SimpleITK finds it in other places of a line, too; what only it sees is refused.
            if match is None or match["key"].lower() != _DATA_FILE["MetaImageIO"]:
                break
            return
    raise InvalidValueError(
        f"Expected {path} to be a MetaImage, but it does not say where its voxels are "
        "(ElementDataFile)."
    )


def _lines(path: Path, file: BinaryIO) -> Iterator[str]:
    for _ in range(_MOST_LINES):
        raw = file.readline(_LONGEST_LINE)
        if not raw:
            return
        yield raw.decode("utf-8", errors="surrogateescape").rstrip("\r\n")
    raise InvalidValueError(f"Expected {path} to begin with a header, but it has no end.")


def _beside(path: Path, name: str) -> Path:
    """The file of the voxels, once its name is one that cannot lead elsewhere."""
    if name.split()[0].lower() == "list" or "%" in name:
        raise InvalidValueError(
            f"Expected {path} to have its voxels in one file, but got several ({name!r}): save it "
            "as one."
        )
    relative = PurePosixPath(name)
    absolute = relative.is_absolute() or PureWindowsPath(name).drive or name.startswith(("\\", "~"))
    if absolute or ".." in relative.parts or "\\" in name:
        raise InvalidValueError(
            f"Expected {path} to have its voxels in its own folder, but got {name!r}."
        )
    found = path.parent / name
    if not found.is_file():
        raise InvalidValueError(
            f"Expected {path} with the file of its voxels, {name!r}, beside it, but there is none."
        )
    return found
