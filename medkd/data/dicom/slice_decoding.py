"""From the pixels of slices to the values of a volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydicom import Dataset, config
from pydicom.uid import UID

from medkd.data.dicom.header_reading import read_dataset
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["decode_slice"]

# Where a slice lies, and what a DICOM SEG must repeat of its source.
_KEPT = (
    *("SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "Modality"),
    *("Rows", "Columns", "PixelSpacing", "SliceThickness", "ImagePositionPatient"),
    *("ImageOrientationPatient", "FrameOfReferenceUID", "PositionReferenceIndicator"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "AccessionNumber"),
    *("ReferringPhysicianName",),
)


def decode_slice(path: Path, *, where: str) -> tuple[NDArray[np.float32], Dataset]:
    """Decode one slice.

    Args:
        path: its file.
        where: what to call the slice in a message.

    Returns:
        Values ``(rows, columns)`` as the header scales them, and of the header what a DICOM SEG
        must repeat.

    Raises:
        ValueError: if the file is damaged, compressed in a way that no installed decoder knows, or
            holds values that are not scaled linearly.
    """
    dataset = read_dataset(path)
    if dataset is None:
        raise InvalidValueError(
            f"Expected {where} to be a whole DICOM file, but it cannot be read."
        )
    pixels = _decode(dataset, where=where)
    if "ModalityLUTSequence" in dataset:
        raise InvalidValueError(
            f"Expected {where} to scale its values by slope and intercept, but it has a table."
        )
    slope, intercept = _read_scaling(dataset, where=where)
    values = (pixels.astype(np.float64) * slope + intercept).astype(np.float32)
    return values, _keep(dataset)


def _keep(dataset: Dataset) -> Dataset:
    header = Dataset()
    for keyword in _KEPT:
        if keyword in dataset:
            header[keyword] = dataset[keyword]
    header.file_meta = dataset.file_meta
    return header


def _decode(dataset: Dataset, *, where: str) -> NDArray[np.generic]:
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    if not _has_decoder(syntax):
        raise InvalidValueError(
            f"Expected {where} to be readable, but it is compressed as {_name(syntax)}, for which "
            "no decoder is installed: `pip install 'medkd[dicom]'` brings several."
        )
    try:
        pixels: NDArray[np.generic] = dataset.pixel_array
    except Exception as error:  # decoders raise nearly anything, and quote the header
        raise InvalidValueError(
            f"Expected {where} to be a whole image, but its pixels ({_name(syntax)}) cannot be "
            "decoded."
        ) from error
    if pixels.shape != (dataset.Rows, dataset.Columns):
        raise InvalidValueError(f"Expected {where} to be one image, but got shape {pixels.shape}.")
    return pixels


def _has_decoder(syntax: UID) -> bool:
    try:
        from pydicom.pixels.decoders.base import get_decoder
    except ImportError:  # before pydicom 3
        known = [each for each in config.pixel_data_handlers if each.is_available()]
        return any(each.supports_transfer_syntax(syntax) for each in known)
    try:
        return get_decoder(syntax).is_available
    except NotImplementedError:
        return False


def _name(syntax: UID) -> str:
    """DICOM's name, and no text that is not one."""
    return syntax.name if syntax.is_transfer_syntax else "an unknown transfer syntax"


def _read_scaling(dataset: Dataset, *, where: str) -> tuple[float, float]:
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    try:
        scaling = float(1 if slope is None else slope), float(0 if intercept is None else intercept)
    except (TypeError, ValueError):
        scaling = float("nan"), 0.0
    if not np.isfinite(scaling).all() or scaling[0] == 0:
        raise InvalidValueError(
            f"Expected {where} to scale its values by numbers, but it does not."
        )
    return scaling
