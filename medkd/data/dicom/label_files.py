"""Which structure sets and segmentations belong to which series."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pydicom import Dataset

from medkd.data.dicom.header_reading import quiet_pydicom, read_dataset
from medkd.data.dicom.segmentation_object import SegmentationObject
from medkd.data.dicom.structure_set import StructureSet
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from medkd.data.dicom.dicom_files import DicomFile
    from medkd.data.dicom.series_listing import SeriesListing

__all__ = ["LabelSource", "match_labels", "read_labels"]

_STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
LabelSource = StructureSet | SegmentationObject


def match_labels(
    files: Iterable[DicomFile], listings: Sequence[SeriesListing]
) -> tuple[dict[int, list[DicomFile]], int]:
    """Find the series that each structure set and each segmentation is about.

    Args:
        files: all files.
        listings: the series of images among them.

    Returns:
        Number of a series to the files that are about it, and how many files are about none.
    """
    by_series = {str(each.files[0].header.SeriesInstanceUID): each.number for each in listings}
    by_frame: dict[str, set[int]] = defaultdict(set)
    for each in listings:
        by_frame[str(each.files[0].header.get("FrameOfReferenceUID", ""))].add(each.number)
    matched: dict[int, list[DicomFile]] = defaultdict(list)
    unmatched = 0
    for file in files:
        if str(file.header.SOPClassUID) not in (_STRUCTURE_SET, *_SEGMENTATIONS):
            continue
        with quiet_pydicom():
            dataset = read_dataset(file.path)
        series, frames = _find_references(dataset) if dataset is not None else (set(), set())
        numbers = {by_series[uid] for uid in series if uid in by_series}
        # An older file may name the frame of reference alone, which can be of one series.
        numbers = numbers or set().union(*(by_frame[uid] for uid in frames if uid in by_frame))
        if len(numbers) == 1:
            matched[numbers.pop()].append(file)
        else:
            unmatched += 1
    return dict(matched), unmatched


def read_labels(file: DicomFile) -> LabelSource:
    """Read a structure set or a segmentation.

    Args:
        file: one that :func:`match_labels` returned.

    Returns:
        Its structures.

    Raises:
        ValueError: if the file misses what the standard requires.
    """
    # It could be read when it was matched.
    dataset = read_dataset(file.path) or Dataset()
    is_contours = str(file.header.SOPClassUID) == _STRUCTURE_SET
    try:
        return StructureSet(dataset) if is_contours else SegmentationObject(dataset)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidValueError(
            "Expected a whole structure set or segmentation, but a part that DICOM requires is "
            "missing or damaged."
        ) from error


def _find_references(dataset: Dataset) -> tuple[set[str], set[str]]:
    """UIDs of the series and of the frames of reference that a file names."""
    series = {str(item.SeriesInstanceUID) for item in _items(dataset, "ReferencedSeriesSequence")}
    frames = {str(dataset.get("FrameOfReferenceUID", ""))}
    for frame in _items(dataset, "ReferencedFrameOfReferenceSequence"):
        frames.add(str(frame.get("FrameOfReferenceUID", "")))
        for study in _items(frame, "RTReferencedStudySequence"):
            for item in _items(study, "RTReferencedSeriesSequence"):
                series.add(str(item.SeriesInstanceUID))
    for roi in _items(dataset, "StructureSetROISequence"):
        frames.add(str(roi.get("ReferencedFrameOfReferenceUID", "")))
    return series, frames - {""}


def _items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    yield from dataset.get(keyword) or ()
