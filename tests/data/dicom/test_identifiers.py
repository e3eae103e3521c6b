"""Identifiers are planted in every part of a header that is read, and looked for afterwards."""

from __future__ import annotations

import gzip
import io
import logging
import warnings

import numpy as np
import pydicom
import pytest
from pydicom import DataElement
from pydicom.uid import JPEGLossless, generate_uid

from medkd.cli.main import main
from medkd.data.dicom import (
    convert_dicom,
    header_reading,
    list_series,
    read_series,
    write_segmentation,
)

# What the standard makes a SEG repeat, so that it is filed with its patient and study.
_REPEATED = {
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
    *("FrameOfReferenceUID", "SeriesInstanceUID", "ReferencedSOPInstanceUID"),
}
_TEXTS = (
    *("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("StudyDescription", "SeriesDescription", "InstitutionName", "StationName", "ProtocolName"),
    *("OperatorsName", "DeviceSerialNumber", "PatientComments", "ImageComments"),
    *("BodyPartExamined", "OtherPatientIDs", "PatientAddress", "Manufacturer", "SoftwareVersions"),
)
MARK, DATE, TIME, NUMBER = _WORDS = "PLANTED", "19111104", "031415.926", "7654321"


def plant(slices, *, number):
    """Marks in all free text, and identifiers of digits that are nowhere else."""
    study, series, frame = (generate_uid(entropy_srcs=[MARK, str(number), w]) for w in "abc")
    for ct in slices:
        for keyword in _TEXTS:
            setattr(ct, keyword, f"{MARK}{number}")
        for keyword in ("PatientBirthDate", "StudyDate", "SeriesDate", "ContentDate"):
            setattr(ct, keyword, DATE)
        ct.StudyTime, ct.PatientSex, ct.Modality = TIME, "F", MARK
        ct.ImageType = [MARK, MARK]
        ct.SeriesNumber, ct.StudyInstanceUID, ct.SeriesInstanceUID = NUMBER, study, series
        ct.FrameOfReferenceUID = frame
        ct.add_new((0x0009, 0x0010), "LO", MARK)
        ct.add_new((0x0009, 0x1001), "LO", MARK)
    return [*_WORDS, study, series, frame, *(ct.SOPInstanceUID for ct in slices)]


@pytest.fixture
def planted(dicom, tmp_path):
    """Three patients with everything planted, also in names of files, and all that was planted."""
    with header_reading.quiet_pydicom():
        return write_planted(dicom, tmp_path / "exports")


def write_planted(dicom, folder):
    secrets = set()
    for number in range(3):
        slices = dicom.slices(seed=number)
        secrets |= set(plant(slices, number=number))
        where = dicom.save(slices, folder / f"{MARK}_{number}")
        drawn = {"GTV-1": [dicom.box((1, 3), (1, 3), 2)], f"Heart {MARK}": []}
        drawn[f"Heart {MARK}"] = [dicom.box((0, 5), (0, 5), 2)]
        contours = dicom.contours(slices, drawn)
        contours.StructureSetLabel = contours.StructureSetName = MARK
        contours.PatientName = contours.SeriesDescription = MARK
        contours.save_as(where / f"{MARK}.dcm", enforce_file_format=True)
    return folder, secrets


def find(secrets, *texts):
    return sorted(secret for secret in secrets if any(secret in text for text in texts))


@pytest.fixture
def heard(capsys, caplog):
    """All that is said: to both streams, in logs and in warnings."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")

        def hear():
            captured = capsys.readouterr()
            return captured.out, captured.err, caplog.text, *(str(w.message) for w in caught)

        yield hear


def written(folder):
    """Names and contents of files, compressed ones as they are and unpacked."""
    for path in sorted(folder.rglob("*")):
        yield str(path.relative_to(folder))
        if path.is_file():
            content = path.read_bytes()
            yield content.decode("latin-1")
            if path.suffix == ".gz":
                yield gzip.decompress(content).decode("latin-1")


def test_the_fields_that_are_read_are_planted(dicom):
    slices = dicom.slices()
    with header_reading.quiet_pydicom():
        plant(slices, number=0)
    geometry = {"Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PixelSpacing"}
    geometry |= {"ImagePositionPatient", "ImageOrientationPatient", "SOPClassUID"}
    for keyword in set(header_reading._LISTED) - geometry:
        value = str(slices[0][keyword].value)
        assert MARK in value or value == NUMBER or keyword.endswith("UID")


def test_conversion(planted, tmp_path, heard):
    folder, secrets = planted
    assert main(["data", "from-dicom", str(folder), "--output", str(tmp_path / "out")]) == 0
    assert find(secrets, *heard()) == []
    assert find(secrets, *written(tmp_path / "out")) == []
    assert (tmp_path / "out" / "manifest.json").is_file()


def test_series_and_lists_of_them(planted, heard):
    folder, secrets = planted
    series = read_series(folder / f"{MARK}_0")
    said = repr(series), series.description_safe, repr(list_series(folder))
    assert find(secrets, *said, *heard()) == []
    with pytest.raises(ValueError, match="one of the 3 series") as refusal:
        read_series(folder)
    assert find(secrets, str(refusal.value), *heard()) == []


def put_text(ct, keyword):
    """A mark where the standard has a number."""
    ct[keyword] = DataElement(ct[keyword].tag, "LO", MARK)


def truncate(ct):
    ct.PixelData = ct.PixelData[:-8]


def unscale(ct):
    put_text(ct, "RescaleSlope")


def misplace(ct):
    put_text(ct, "ImagePositionPatient")


def unsize(ct):
    put_text(ct, "PixelSpacing")


def misorient(ct):
    ct.ImageOrientationPatient = [0, 1, 0, 0, 0, 1]


def duplicate(ct):
    ct.ImagePositionPatient = [-31, 17.5, 203.0]


def compress(ct):
    ct.file_meta.TransferSyntaxUID = JPEGLossless
    ct.PixelData = b"\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00abcd"
    ct["PixelData"].is_undefined_length = True


def lose(ct):
    del ct.ImagePositionPatient


@pytest.mark.parametrize(
    "spoil", [truncate, unscale, misplace, unsize, misorient, duplicate, compress, lose]
)
def test_refusals(dicom, tmp_path, heard, spoil):
    slices = dicom.slices()
    with header_reading.quiet_pydicom():
        secrets = plant(slices, number=0)
        for ct in slices[2:]:
            spoil(ct)
        dicom.save(slices, tmp_path / "scan" / MARK)
    with pytest.raises(ValueError, match="Expected ") as refusal:
        read_series(tmp_path / "scan")
    assert find(secrets, str(refusal.value), *heard()) == []


def test_an_unknown_transfer_syntax(scan, heard):
    secret = "1.2.840.98765.1.2.1"
    for path in scan.iterdir():
        path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1", secret.encode()))
    with pytest.raises(ValueError, match="compressed as an unknown transfer syntax") as refusal:
        read_series(scan)
    assert find({secret}, str(refusal.value), *heard()) == []


def test_structures_that_are_refused(dicom, tmp_path, heard):
    slices = dicom.slices()
    with header_reading.quiet_pydicom():
        secrets = plant(slices, number=0)
        dicom.save(slices, tmp_path / "in")
    contours = dicom.contours(slices, {f"GTV {MARK}": [dicom.box((0, 1), (0, 1), 0.5)]})
    dicom.save([contours], tmp_path / "in" / "s")
    for wanted in (None, ["liver"]):
        with pytest.raises(ValueError, match="Expected ") as refusal:
            convert_dicom(tmp_path / "in", tmp_path / "out", structures=wanted)
        assert find(secrets, str(refusal.value), *heard()) == []


def test_a_segmentation_repeats_patient_and_study_alone(planted, tmp_path, heard):
    pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")
    folder, secrets = planted
    series = read_series(folder / f"{MARK}_0")
    labels = np.ones(series.image.shape, np.uint8)
    write_segmentation(labels, series.affine, series, ["background", "heart"], tmp_path / "s.dcm")
    assert find(secrets, *heard()) == []
    with header_reading.quiet_pydicom():
        check_segmentation(pydicom.dcmread(tmp_path / "s.dcm"), secrets)


def check_segmentation(made, secrets):
    repeated = {e.keyword for e in made.iterall() if e.VR != "SQ" and find(secrets, str(e.value))}
    assert {"PatientName", "PatientID", "StudyInstanceUID"} <= repeated
    assert repeated <= _REPEATED
    without = io.BytesIO()
    for keyword in _REPEATED & set(made.dir()):
        del made[keyword]
    made.save_as(without)
    assert find(_WORDS, without.getvalue().decode("latin-1")) == []
