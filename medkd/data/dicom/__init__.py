"""DICOM: series in, segmentations out, and not a word about whose they are."""

from __future__ import annotations

from medkd.data.dicom.dicom_conversion import convert_dicom
from medkd.data.dicom.dicom_files import is_dicom
from medkd.data.dicom.dicom_series import DicomSeries
from medkd.data.dicom.segmentation_writing import write_segmentation
from medkd.data.dicom.series_listing import SeriesListing, list_series
from medkd.data.dicom.series_reading import read_series

__all__ = [
    "DicomSeries",
    "SeriesListing",
    "convert_dicom",
    "is_dicom",
    "list_series",
    "read_series",
    "write_segmentation",
]
