"""A label map as DICOM SEG that refers to the series it was predicted from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.valuerep import DA, TM

from medkd import __version__
from medkd.data.dicom.header_reading import quiet_pydicom
from medkd.data.dicom.segment_codes import code_class
from medkd.data.images.grid_difference import describe_difference, same_grid
from medkd.errors import FailureError, InvalidValueError
from medkd.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from numpy.typing import ArrayLike, NDArray

    from medkd.data.dicom.dicom_series import DicomSeries

__all__ = ["write_segmentation"]

_NAME = "medkd"
_SERIES_NUMBER = 300  # beyond what scanners count to
_LONGEST_LABEL = 64
_UTF_8 = "ISO_IR 192"
_CHECKED: dict[str, Callable[..., object]] = {
    "PatientBirthDate": DA,
    "StudyDate": DA,
    "StudyTime": TM,
}
_SEXES = ("M", "F", "O")
_WHOLE_GRID = 16  # classes; a bit for each is then as large as the scan


def write_segmentation(
    label_map: ArrayLike,
    affine: ArrayLike,
    series: DicomSeries,
    class_names: Sequence[str],
    path: str | Path,
) -> None:
    """Write a label map as a binary DICOM SEG, one segment a class.

    Classes whose name is known carry their SNOMED code, others one of the private scheme
    ``99MEDKD``. Each frame refers to the slice that it lies on. Slices without a class are written,
    too, so that a reader that does not place frames by their header, such as SimpleITK, finds every
    class on the whole grid; of more than 16 classes, which would be larger than the scan itself,
    such frames are left out.

    By the standard the file keeps patient and study of its source (name, number, birth date, sex,
    accession number and so on), or a viewer could not lay it over the scan: **it names the patient
    as the source does**. Nothing else that this package writes does. Dates, times and a sex that
    break DICOM's rules are left empty.

    Args:
        label_map: class indices ``(X, Y, Z)`` on the grid of ``series.image``.
        affine: voxel index to mm, RAS, ``(4, 4)``; must be that of the series.
        series: what the label map was predicted from.
        class_names: names of the classes in the order of their index, background first.
        path: the file to write or replace.

    Raises:
        RuntimeError: if highdicom is not installed.
        ValueError: if the label map is not of whole numbers, not on the grid of the series, holds
            an index without a name, or the series has no frame of reference or misses another
            part of the header that a DICOM SEG must repeat.
        OSError: if the file cannot be written.

    References:
        C. P. Bridge, C. Gorman, S. Pieper, S. W. Doyle, J. K. Lennerz, J. Kalpathy-Cramer, et al.
        Highdicom: a Python library for standardized encoding of image annotations and machine
        learning model outputs in pathology and radiology. Journal of Digital Imaging 35:1719-1737,
        2022.
    """
    highdicom = _import_highdicom()
    labels = _check(np.asarray(label_map), np.asarray(affine), series, class_names)
    with quiet_pydicom():
        try:
            segmentation = _make(highdicom, labels, series, class_names)
        except Exception as error:  # pydicom's and highdicom's errors quote the header
            raise InvalidValueError(
                "Expected `series` to state what a DICOM SEG must repeat, but highdicom refuses "
                "its headers."
            ) from error
        with atomic_write(path) as file:
            segmentation.save_as(file)


def _make(
    highdicom: ModuleType,
    labels: NDArray[np.unsignedinteger[Any]],
    series: DicomSeries,
    class_names: Sequence[str],
) -> Dataset:
    segments = range(1, len(class_names))
    names = [name.replace("\\", "/") for name in class_names]  # it would part a value in two
    first = _with_lawful_values(series.headers[0])
    step = float(np.linalg.norm(series.affine[:3, 2]))
    made: Dataset = highdicom.seg.Segmentation(
        source_images=[first, *series.headers[1:]],
        pixel_array=labels.transpose(2, 1, 0),  # slices, rows, columns
        segmentation_type=highdicom.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(highdicom, n, names[n]) for n in segments],
        series_instance_uid=highdicom.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=_NAME,
        manufacturer_model_name=_NAME,
        software_versions=__version__,
        device_serial_number=__version__,
        content_label="SEGMENTATION",
        content_description=f"{len(segments)} classes by a segmentation network",
        series_description=f"{_NAME} segmentation",
        pixel_measures=highdicom.PixelMeasuresSequence(
            pixel_spacing=first.PixelSpacing,
            slice_thickness=first.get("SliceThickness") or step,
            spacing_between_slices=step,
        ),
        omit_empty_frames=len(segments) > _WHOLE_GRID,
    )
    if not all(map(str.isascii, names)):
        # The series' own character set may lack their letters.
        made.decode()
        made.SpecificCharacterSet = _UTF_8
    return made


def _with_lawful_values(header: Dataset) -> Dataset:
    """A copy without dates, times and a sex that break DICOM's rules, which highdicom refuses."""
    lawful = Dataset(header)
    lawful.file_meta = header.file_meta
    for keyword, value_type in _CHECKED.items():
        if not _is_lawful(header.get(keyword), value_type):
            setattr(lawful, keyword, "")
    if header.get("PatientSex") not in _SEXES:
        lawful.PatientSex = ""
    return lawful


def _is_lawful(value: object, value_type: Callable[[object], object]) -> bool:
    try:
        value_type(value or "")
    except (ValueError, TypeError):
        return False
    return True


def _import_highdicom() -> ModuleType:
    try:
        import highdicom
        import highdicom.seg
    except ImportError as error:
        raise FailureError(
            "Expected highdicom to be installed, without which no DICOM SEG can be written, but it "
            "is not: `pip install 'medkd[dicom]'`."
        ) from error
    return highdicom


def _check(
    labels: NDArray[Any],
    affine: NDArray[np.float64],
    series: DicomSeries,
    class_names: Sequence[str],
) -> NDArray[np.unsignedinteger[Any]]:
    if labels.dtype.kind not in "iub" or labels.shape != series.image.shape:
        raise InvalidValueError(
            f"Expected `label_map` to be whole numbers of shape {series.image.shape}, that of the "
            f"series, but got {labels.dtype} of shape {labels.shape}."
        )
    if not same_grid(series.affine, affine, shape=labels.shape):
        apart = describe_difference(series.affine, affine, shape=labels.shape)
        raise InvalidValueError(
            f"Expected `affine` to be that of the series, but the grids are {apart} apart."
        )
    if len(class_names) < 2:
        raise InvalidValueError(
            f"Expected `class_names` to name background and a class, but got {list(class_names)}."
        )
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= len(class_names):
        raise InvalidValueError(
            f"Expected `label_map` to hold indices of the {len(class_names)} `class_names`, but "
            f"got {lowest} to {highest}."
        )
    if not series.headers[0].get("FrameOfReferenceUID"):
        raise InvalidValueError(
            "Expected `series` to name its frame of reference, without which no DICOM SEG can lie "
            "on it, but it does not."
        )
    return labels.astype(np.uint8 if len(class_names) <= 256 else np.uint16)


def _describe(highdicom: ModuleType, number: int, name: str) -> Dataset:
    what = code_class(name)
    description: Dataset = highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=name[:_LONGEST_LABEL],
        segmented_property_category=what.category,
        segmented_property_type=what.kind,
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=highdicom.AlgorithmIdentificationSequence(
            name=_NAME, version=__version__, family=codes.DCM.ArtificialIntelligence
        ),
    )
    if what.side is not None:
        (kind,) = description.SegmentedPropertyTypeCodeSequence
        kind.SegmentedPropertyTypeModifierCodeSequence = [
            highdicom.sr.CodedConcept.from_code(what.side)
        ]
    return description
