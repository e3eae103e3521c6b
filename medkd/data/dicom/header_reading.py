"""Reading DICOM files without a word of what they say about the patient."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pydicom
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["is_dicom_file", "quiet_pydicom", "read_dataset", "read_header"]

_SUFFIXES = (".dcm", ".ima")
_PREAMBLE = 128
_MAGIC = b"DICM"
# All that is needed to tell series from one another, and what can be a volume.
_LISTED = (
    *("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"),
    *("FrameOfReferenceUID", "PatientID", "Modality", "SeriesNumber", "ImageType", "Rows"),
    *("Columns", "NumberOfFrames", "SamplesPerPixel", "PixelSpacing"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
)


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom and highdicom from warning, in logs too, of values that break a rule.

    They would show the value, such as a patient's name that has no first name.

    Yields:
        Nothing.
    """
    settings = pydicom.config.settings
    loggers = [logging.getLogger(name) for name in ("pydicom", "highdicom")]
    levels = [logger.level for logger in loggers]
    modes = settings.reading_validation_mode, settings.writing_validation_mode
    settings.reading_validation_mode = settings.writing_validation_mode = pydicom.config.IGNORE
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode, settings.writing_validation_mode = modes
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def is_dicom_file(path: Path) -> bool:
    """Whether a file is DICOM by its mark, or by its ending where the mark is missing.

    Args:
        path: an existing file.

    Returns:
        True also for a Git LFS pointer that is called ``.dcm``, so that it is refused as such.
    """
    if path.name.lower().endswith(_SUFFIXES):
        return True
    with path.open("rb") as file:
        return file.read(_PREAMBLE + len(_MAGIC))[_PREAMBLE:] == _MAGIC


def read_header(path: Path) -> Dataset | None:
    """Read what tells one series from another.

    Args:
        path: a file for which :func:`is_dicom_file` holds.

    Returns:
        The header; None if the file is no instance of anything, such as a directory (DICOMDIR) or
        what was never DICOM.
    """
    header = _read(path, tags=_LISTED)
    if header is None or not all(header.get(f"{what}InstanceUID") for what in ("SOP", "Series")):
        return None
    return header


def read_dataset(path: Path) -> Dataset | None:
    """Read a file with its pixels.

    Args:
        path: a file that :func:`read_header` could read.

    Returns:
        The data set, with a transfer syntax also where the file does not state it; None if the file
        cannot be read.
    """
    found = _read(path)
    if found is not None and not found.file_meta.get("TransferSyntaxUID"):
        implicit = getattr(found, "original_encoding", (True,))[0] is not False
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        found.file_meta.TransferSyntaxUID = syntax
    return found


def _read(path: Path, *, tags: Sequence[str] = ()) -> Dataset | None:
    """The whole file, or some tags of its header."""
    selected = list(tags) or None
    try:
        found = pydicom.dcmread(
            path, force=True, stop_before_pixels=bool(tags), specific_tags=selected
        )
    except OSError:
        raise
    except Exception:  # parsers of strangers' bytes raise nearly anything, and quote them
        return None
    return found
