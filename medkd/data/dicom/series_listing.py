"""Which series there are, told apart without what would name a patient."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medkd.data.dicom.dicom_files import DicomFile, find_dicom_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from pydicom import Dataset

__all__ = ["SeriesListing", "group_series", "list_series", "safe_modality"]

_MODALITIES = frozenset({"CT", "MR", "PT", "NM", "US", "CR", "DX", "MG", "XA", "RF", "SC", "OT"})
_UNKNOWN = "OT"
_NOT_IMAGES = frozenset({"SEG", "RTSTRUCT", "RTDOSE", "SR", "PR", "KO", "REG"})


@dataclass(frozen=True)
class SeriesListing:
    """A series of images, and what can be said of it without saying whose it is.

    Args:
        number: counts from 1 in the order of studies and series numbers.
        modality: ``"CT"``, ``"MR"`` and so on, ``"OT"`` where it is none of DICOM's.
        rows: of an image.
        columns: of an image.
        obstacle: why it cannot be a volume, whatever its geometry; empty if it can.
        files: its files, one an image.
    """

    number: int
    modality: str
    rows: int
    columns: int
    obstacle: str
    files: tuple[DicomFile, ...] = field(repr=False)

    @property
    def description_safe(self) -> str:
        """``"CT, 60 image(s) of 204 x 201"``, and the obstacle if there is one."""
        images = f"{len(self.files)} image(s) of {self.columns} x {self.rows}"
        obstacle = f" ({self.obstacle})" if self.obstacle else ""
        return f"{self.modality}, {images}{obstacle}"


def list_series(path: str | Path) -> list[SeriesListing]:
    """List the series of images.

    Args:
        path: a folder, a zip archive or a file.

    Returns:
        The series; the files of an archive are gone.

    Raises:
        OSError: if the path cannot be read.
        ValueError: if there is no DICOM file; see :func:`~medkd.data.dicom.read_series`.
    """
    with find_dicom_files(path) as files:
        return group_series(files)


def group_series(files: Iterable[DicomFile]) -> list[SeriesListing]:
    """Group files by their series.

    Args:
        files: any DICOM files; structure sets, segmentations, doses and reports are passed over,
            and so is a second copy of an image.

    Returns:
        The series of images.
    """
    groups: dict[str, dict[str, DicomFile]] = defaultdict(dict)
    for file in files:
        header = file.header
        if header.get("Rows") and header.get("Modality") not in _NOT_IMAGES:
            groups[header.SeriesInstanceUID].setdefault(header.SOPInstanceUID, file)
    ordered = sorted((tuple(group.values()) for group in groups.values()), key=_order)
    return [_describe(number, group) for number, group in enumerate(ordered, start=1)]


def safe_modality(header: Dataset) -> str:
    """The modality, if it is one of DICOM's: any other text might be anything.

    Args:
        header: of an image.

    Returns:
        ``"CT"``, ``"MR"`` and so on, or ``"OT"``.
    """
    stated = str(header.get("Modality", ""))
    return stated if stated in _MODALITIES else _UNKNOWN


def _order(group: tuple[DicomFile, ...]) -> tuple[str, int, str]:
    header = group[0].header
    try:
        number = int(header.get("SeriesNumber") or 0)
    except (TypeError, ValueError):
        number = 0
    return str(header.get("StudyInstanceUID", "")), number, str(header.SeriesInstanceUID)


def _describe(number: int, group: tuple[DicomFile, ...]) -> SeriesListing:
    header = group[0].header
    return SeriesListing(
        number=number,
        modality=safe_modality(header),
        rows=int(header.Rows),
        columns=int(header.get("Columns") or 0),
        obstacle=_find_obstacle([file.header for file in group]),
        files=group,
    )


def _find_obstacle(headers: list[Dataset]) -> str:
    if any("MOSAIC" in (header.get("ImageType") or ()) for header in headers):
        return "a mosaic, with several slices on one picture"
    if any(int(header.get("NumberOfFrames") or 1) > 1 for header in headers):
        return "a multi-frame file"
    if any(int(header.get("SamplesPerPixel") or 1) > 1 for header in headers):
        return "a screen-save, in color"
    placed = ("ImagePositionPatient", "ImageOrientationPatient")
    if any(not header.get(name) for header in headers for name in placed):
        return "a screen-save or projection, which does not say where it lies in the patient"
    return "a lone slice" if len(headers) == 1 else ""
