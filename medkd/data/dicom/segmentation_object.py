"""Structures that were painted as pixels: DICOM SEG."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.data.dicom.patient_coordinates import to_index
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    from medkd.data.dicom.dicom_series import DicomSeries

__all__ = ["SegmentationObject"]

_OFF_GRID = 0.1  # of a voxel: rounded headers pass
_HALF = 0.5


class SegmentationObject:
    """The segments of a SEG file: binary, label map, or fractional from a half on.

    Frames are matched to slices by where they lie.

    Args:
        dataset: the whole file.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._numbers: dict[str, list[int]] = defaultdict(list)
        for segment in dataset.SegmentSequence:
            self._numbers[str(segment.SegmentLabel)].append(int(segment.SegmentNumber))

    @property
    def names(self) -> tuple[str, ...]:
        """The labels of the segments, free text that may name a patient."""
        return tuple(self._numbers)

    def mask(self, name: str, series: DicomSeries) -> NDArray[np.bool_]:
        """Lay the frames of a segment on the slices of the series.

        Args:
            name: one of ``names``.
            series: the volume that was segmented.

        Returns:
            True inside, of the shape of ``series.image``, slices contiguous.

        Raises:
            ValueError: if a frame does not lie on a slice of the series, pixel by pixel.
        """
        mask = np.zeros(series.image.shape, dtype=np.bool_, order="F")
        pixels = self._dataset.pixel_array.reshape(-1, self._dataset.Rows, self._dataset.Columns)
        for position, frame in enumerate(self._dataset.PerFrameFunctionalGroupsSequence):
            inside = self._select(frame, pixels[position], self._numbers[name])
            if inside is not None and inside.any():
                mask[:, :, self._find_slice(frame, series)] |= inside.T
        return mask

    def _select(
        self, frame: Dataset, pixels: NDArray[Any], numbers: list[int]
    ) -> NDArray[np.bool_] | None:
        """Where a frame shows the segments, ``(rows, columns)``; None if it is of others."""
        kind = self._dataset.SegmentationType
        if kind == "LABELMAP":
            return np.isin(pixels, numbers)
        (identified,) = self._group(frame, "SegmentIdentificationSequence")
        if int(identified.ReferencedSegmentNumber) not in numbers:
            return None
        top = self._dataset.MaximumFractionalValue if kind == "FRACTIONAL" else 1
        return np.asarray(pixels >= _HALF * top, dtype=np.bool_)

    def _find_slice(self, frame: Dataset, series: DicomSeries) -> int:
        columns, rows = int(self._dataset.Columns), int(self._dataset.Rows)
        index = to_index(self._corners(frame), series.affine)
        place = round(float(index[0, 2]))
        expected = np.array([[0, 0, place], [columns - 1, 0, place], [0, rows - 1, place]])
        same_size = (columns, rows) == series.image.shape[:2]
        on_slice = same_size and 0 <= place < series.image.shape[2]
        if not on_slice or np.abs(index - expected).max() > _OFF_GRID:
            raise InvalidValueError(
                "Expected every frame of the segmentation to lie on a slice of the series, pixel "
                "by pixel, but one does not."
            )
        return place

    def _corners(self, frame: Dataset) -> NDArray[np.float64]:
        """Where the first pixel, the last of its row and the last of its column lie, in mm."""
        (position,) = self._group(frame, "PlanePositionSequence")
        (orientation,) = self._group(frame, "PlaneOrientationSequence")
        (measures,) = self._group(frame, "PixelMeasuresSequence")
        origin = np.asarray(position.ImagePositionPatient, dtype=np.float64)
        row, column = np.asarray(orientation.ImageOrientationPatient, np.float64).reshape(2, 3)
        rows_apart, columns_apart = (float(side) for side in measures.PixelSpacing)
        along = row * columns_apart * (self._dataset.Columns - 1)
        down = column * rows_apart * (self._dataset.Rows - 1)
        return np.stack([origin, origin + along, origin + down])

    def _group(self, frame: Dataset, keyword: str) -> Any:  # noqa: ANN401
        """A functional group of the frame, or of all frames."""
        (shared,) = self._dataset.SharedFunctionalGroupsSequence
        return frame[keyword].value if keyword in frame else shared[keyword].value
