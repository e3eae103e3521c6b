from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydicom import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid

COLUMNS, ROWS, SLICES = 7, 6, 5  # unequal, so a swapped axis cannot pass
SPACING = (0.75, 1.25, 2.5)  # mm between columns, rows and slices
ORIGIN = (-31.0, 17.5, 203.0)


def rotation():
    """Row and column directions of an oblique scan, as the header's six numbers."""
    a, b = np.radians(25), np.radians(-10)
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    return (about_z @ about_x)[:, :2].T.ravel()


def new_dataset(sop_class):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    return dataset


def make_slices(
    *,
    patient="1",
    modality="CT",
    orientation=(1, 0, 0, 0, 1, 0),
    shape=(COLUMNS, ROWS, SLICES),
    series_number=3,
    study=None,
    frame=None,
    seed=0,
):
    """Headers with pixels of a CT series, slice by slice from the feet on."""
    columns, rows, slices = shape
    stored = np.random.default_rng(seed).integers(0, 4000, (slices, rows, columns), dtype=np.uint16)
    directions = np.asarray(orientation, dtype=float).reshape(2, 3)
    normal = np.cross(*directions)
    series, study, frame = generate_uid(), study or generate_uid(), frame or generate_uid()
    made = []
    for number, pixels in enumerate(stored):
        ct = new_dataset(CTImageStorage)
        ct.Modality, ct.PatientID, ct.PatientName = modality, patient, f"Name^{patient}"
        ct.PatientBirthDate, ct.PatientSex, ct.StudyID, ct.AccessionNumber = "", "", "", ""
        ct.StudyDate, ct.StudyTime, ct.ReferringPhysicianName = "", "", ""
        ct.StudyInstanceUID, ct.SeriesInstanceUID, ct.FrameOfReferenceUID = study, series, frame
        ct.SeriesNumber, ct.InstanceNumber, ct.Manufacturer = series_number, slices - number, ""
        ct.PositionReferenceIndicator = ""
        ct.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ct.Rows, ct.Columns, ct.SamplesPerPixel = rows, columns, 1
        ct.PhotometricInterpretation = "MONOCHROME2"
        ct.BitsAllocated, ct.BitsStored, ct.HighBit, ct.PixelRepresentation = 16, 12, 11, 0
        ct.PixelSpacing = [SPACING[1], SPACING[0]]  # between rows, then between columns
        ct.SliceThickness = SPACING[2]
        ct.ImageOrientationPatient = [round(float(v), 12) for v in directions.ravel()]
        place = np.asarray(ORIGIN) + number * SPACING[2] * normal
        ct.ImagePositionPatient = [round(float(v), 10) for v in place]
        ct.RescaleSlope, ct.RescaleIntercept = 1, -1024
        ct.PixelData = pixels.tobytes()
        made.append(ct)
    return made


def save(datasets, folder):
    """Write slices under names that are in no order."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets):
        dataset.save_as(folder / f"IM{(number * 7) % 97:04d}", enforce_file_format=True)
    return folder


def make_contours(slices, structures, *, names_series=True):
    """RTSTRUCT of ``{name: [corners (P, 3) in mm, ...]}`` about a series."""
    first = slices[0]
    made = new_dataset(RTStructureSetStorage)
    made.Modality, made.PatientID = "RTSTRUCT", first.PatientID
    made.StudyInstanceUID, made.SeriesInstanceUID = first.StudyInstanceUID, generate_uid()
    frame = Dataset()
    frame.FrameOfReferenceUID = first.FrameOfReferenceUID
    if names_series:
        series, study = Dataset(), Dataset()
        series.SeriesInstanceUID = first.SeriesInstanceUID
        study.RTReferencedSeriesSequence = [series]
        frame.RTReferencedStudySequence = [study]
    made.ReferencedFrameOfReferenceSequence = [frame]
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures.items(), start=1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for corners in contours:
            contour = Dataset()
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.ContourData = [f"{v:.8g}" for v in np.asarray(corners, dtype=float).ravel()]
            contour.NumberOfContourPoints = len(corners)
            drawn.ContourSequence.append(contour)
        made.StructureSetROISequence.append(roi)
        made.ROIContourSequence.append(drawn)
    return made


def box(x, y, place):
    """Corners in mm round the pixels ``x`` and ``y`` (first, last) of an axial slice."""
    left, right, top, bottom = x[0] - 0.5, x[1] + 0.5, y[0] - 0.5, y[1] + 0.5
    index = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    plane = np.asarray(ORIGIN)[:2] + index * SPACING[:2]
    return np.c_[plane, np.full(4, ORIGIN[2] + place * SPACING[2])]


@pytest.fixture(scope="session")
def dicom():
    """What makes DICOM files."""
    return SimpleNamespace(
        slices=make_slices,
        save=save,
        contours=make_contours,
        box=box,
        oblique=rotation(),
        shape=(COLUMNS, ROWS, SLICES),
    )


@pytest.fixture
def scan(tmp_path):
    """A folder with one CT series."""
    return save(make_slices(), tmp_path / "scan")


@pytest.fixture(scope="session")
def lung_dir(real_data):
    return real_data("lung_ct_rtstruct")
