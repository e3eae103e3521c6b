"""Structures that were drawn as contours: DICOM RTSTRUCT."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from medkd.data.dicom.contour_filling import fill_contours
from medkd.data.dicom.patient_coordinates import to_index
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pydicom import Dataset

    from medkd.data.dicom.dicom_series import DicomSeries

__all__ = ["StructureSet"]

_AREAS = ("CLOSED_PLANAR", "CLOSED_PLANAR_XOR", "CLOSEDPLANAR_XOR")
_OFF_SLICE = 0.1  # of the distance between slices: rounded contours pass


class StructureSet:
    """The structures of an RTSTRUCT file.

    Contours are matched to slices by where they lie, whether they name an image or not. On a slice
    the even-odd rule holds for all contours of a structure: inner ones are holes. Points and open
    lines have no inside; structures of such alone are passed over.

    Args:
        dataset: the whole file.
    """

    def __init__(self, dataset: Dataset) -> None:
        stated = {roi.ROINumber: str(roi.ROIName) for roi in dataset.StructureSetROISequence}
        self._contours: dict[str, list[list[NDArray[np.float64]]]] = defaultdict(list)
        for roi in dataset.get("ROIContourSequence") or ():
            corners = [
                np.asarray(contour.ContourData, dtype=np.float64).reshape(-1, 3)
                for contour in roi.get("ContourSequence") or ()
                if contour.ContourGeometricType in _AREAS
            ]
            if corners and roi.ReferencedROINumber in stated:
                self._contours[stated[roi.ReferencedROINumber]].append(corners)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the structures, free text that may name a patient."""
        return tuple(self._contours)

    def mask(self, name: str, series: DicomSeries) -> NDArray[np.bool_]:
        """Fill the contours of a structure.

        Args:
            name: one of ``names``.
            series: the volume that they were drawn on.

        Returns:
            True inside, of the shape of ``series.image``, slices contiguous.

        Raises:
            ValueError: if a contour does not lie on a slice of the series.
        """
        mask = np.zeros(series.image.shape, dtype=np.bool_, order="F")
        for corners in self._contours[name]:
            for place, contours in _sort_by_slice(corners, series).items():
                mask[:, :, place] |= fill_contours(contours, shape=mask.shape[:2])
        return mask


def _sort_by_slice(
    corners: list[NDArray[np.float64]], series: DicomSeries
) -> dict[int, list[NDArray[np.float64]]]:
    slices: dict[int, dict[bytes, NDArray[np.float64]]] = defaultdict(dict)
    for contour in corners:
        index = to_index(contour, series.affine)
        place = round(float(np.median(index[:, 2])))
        off = float(np.abs(index[:, 2] - place).max())
        if not 0 <= place < series.image.shape[2]:
            raise InvalidValueError(
                "Expected every contour to lie on a slice, but one lies beyond them."
            )
        if off > _OFF_SLICE:
            raise InvalidValueError(
                "Expected every contour to lie on a slice, but one is up to "
                f"{off * np.linalg.norm(series.affine[:3, 2]):.3g} mm off the nearest."
            )
        # A contour that is stored twice would be its own hole.
        slices[place][index[:, :2].tobytes()] = index[:, :2]
    return {place: list(contours.values()) for place, contours in slices.items()}
