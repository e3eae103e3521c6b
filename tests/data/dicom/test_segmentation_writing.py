from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK

from medkd.data.dicom import read_series, write_segmentation
from medkd.data.dicom.header_reading import quiet_pydicom

highdicom = pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:highdicom")

NAMES = ["background", "left_kidney", "anterior", "tumor"]
_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(params=["axial", "oblique"])
def series(dicom, tmp_path, request):
    made = dicom.slices(orientation=dicom.oblique) if request.param == "oblique" else dicom.slices()
    return read_series(dicom.save(made, tmp_path / "scan"))


@pytest.fixture
def labels(dicom):
    made = np.random.default_rng(0).integers(0, 3, dicom.shape, dtype=np.uint8)
    made[:, :, 1] = 0  # an empty slice; and no voxel is of the last class
    return made


def read_by_highdicom(path):
    """Class indices ``(X, Y, Z)`` and affine, RAS."""
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    # From (slice, row, column) to (column, row, slice), and the slices to the series' order.
    affine = _FLIP @ volume.affine[:, [2, 1, 0, 3]]
    return volume.array.transpose(2, 1, 0), affine


def on_the_grid(voxels, affine, series):
    """Voxels of another order of slices at the places of the series."""
    index = np.linalg.inv(series.affine) @ affine
    first, step = index[2, 3], index[2, 2]
    assert step == pytest.approx(np.sign(step), abs=1e-4)
    assert first == pytest.approx(0 if step > 0 else voxels.shape[2] - 1, abs=1e-3)
    np.testing.assert_allclose(index[:2], np.eye(4)[:2], atol=1e-3)
    return voxels if step > 0 else voxels[:, :, ::-1]


def test_highdicom_reads_it_back(series, labels, tmp_path):
    path = tmp_path / "out" / "segmentation.dcm"
    write_segmentation(labels, series.affine, series, NAMES, path)
    voxels, affine = read_by_highdicom(path)
    assert np.array_equal(on_the_grid(voxels, affine, series), labels)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def without_the_last_byte(*maps):
    """ITK's GDCM does not read the bits after the file's last whole byte, and shows any value.

    They are the last pixels of the lowest slice, and none where the size is a multiple of eight.
    """
    return [each.transpose(2, 1, 0)[::-1].ravel()[: each.size // 8 * 8] for each in maps]


def test_simpleitk_reads_it_back(series, labels, tmp_path):
    """One class alone: ITK stacks the frames of all, and knows no segments."""
    path = tmp_path / "segmentation.dcm"
    label = (labels == 2).astype(np.uint8)
    write_segmentation(label, series.affine, series, ["background", "heart"], path)
    image = SimpleITK.ReadImage(str(path))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    voxels = SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0) > 0
    found = on_the_grid(voxels, _FLIP @ affine, series)
    assert np.array_equal(*without_the_last_byte(found, label))


def test_refers_to_its_source(series, labels, tmp_path):
    write_segmentation(labels, series.affine, series, NAMES, tmp_path / "s.dcm")
    made, first = pydicom.dcmread(tmp_path / "s.dcm"), series.headers[0]
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert made[keyword].value == first[keyword].value
    assert made.SeriesInstanceUID != first.SeriesInstanceUID
    (referenced,) = made.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID
    for frame in made.PerFrameFunctionalGroupsSequence:
        source = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        (header,) = (h for h in series.headers if h.SOPInstanceUID == source)
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(place, header.ImagePositionPatient, atol=1e-6)


def test_codes_are_of_snomed_where_the_name_is_known(series, labels, tmp_path):
    write_segmentation(labels, series.affine, series, NAMES, tmp_path / "s.dcm")
    kidney, anterior, tumor = pydicom.dcmread(tmp_path / "s.dcm").SegmentSequence
    assert [s.SegmentLabel for s in (kidney, anterior, tumor)] == NAMES[1:]
    (kind,) = kidney.SegmentedPropertyTypeCodeSequence
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("64033007", "SCT")
    (side,) = kind.SegmentedPropertyTypeModifierCodeSequence
    assert (side.CodeValue, side.CodeMeaning) == ("7771000", "Left")
    (kind,) = anterior.SegmentedPropertyTypeCodeSequence
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("ANTERIOR", "99MEDKD")
    (kind,) = tumor.SegmentedPropertyTypeCodeSequence
    assert (kind.CodeValue, kind.CodingSchemeDesignator) == ("108369006", "SCT")


@pytest.mark.parametrize("charset", [None, "ISO_IR 100", "ISO_IR 192"])
def test_names_come_back_whatever_they_hold(dicom, tmp_path, strange_names, charset):
    """``\\`` would make two values of one, so it is written as ``/``."""
    made = dicom.slices()
    for header in made:
        if charset is not None:
            header.SpecificCharacterSet = charset
            header.PatientName = "Müller"
    names = [*strange_names, "左心室", "a\\b", "ä" * 100]
    series = read_series(dicom.save(made, tmp_path / "scan"))
    path = tmp_path / "segmentation.dcm"
    labels = np.arange(np.prod(dicom.shape)).reshape(dicom.shape) % (len(names) + 1)
    write_segmentation(labels, series.affine, series, ["background", *names], path)
    written = pydicom.dcmread(path)
    assert written.PatientName == made[0].PatientName
    labels = [str(segment.SegmentLabel) for segment in written.SegmentSequence]
    assert labels == [*strange_names, "左心室", "a/b", "ä" * 64]


def test_many_classes_leave_empty_frames_out(dicom, tmp_path):
    series = read_series(dicom.save(dicom.slices(), tmp_path / "scan"))
    labels = np.zeros(dicom.shape, dtype=np.uint8)
    labels[2, 3, 1], labels[1, 1, 4] = 17, 3
    names = ["background", *(f"part {chr(97 + i)}" for i in range(17))]
    write_segmentation(labels, series.affine, series, names, tmp_path / "s.dcm")
    made = highdicom.seg.segread(tmp_path / "s.dcm")
    assert made.NumberOfFrames == 2
    assert made.number_of_segments == 17
    uids = [h.SOPInstanceUID for h in series.headers]
    pixels = made.get_pixels_by_source_instance(
        uids,
        combine_segments=True,
        ignore_spatial_locations=True,
        assert_missing_frames_are_empty=True,
    )
    assert np.array_equal(pixels.transpose(2, 1, 0), labels)


@pytest.mark.parametrize("num_classes", [2, 18])
def test_no_voxel_of_any_class(dicom, tmp_path, num_classes):
    series = read_series(dicom.save(dicom.slices(), tmp_path / "scan"))
    names = ["background", *(f"part {i}" for i in range(1, num_classes))]
    write_segmentation(
        np.zeros(dicom.shape, np.int16), series.affine, series, names, tmp_path / "s.dcm"
    )
    assert not pydicom.dcmread(tmp_path / "s.dcm").pixel_array.any()


def check_by_dciodvfy(path):
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")
    said = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    assert [line for line in said.stderr.splitlines() if line.startswith(("Error", "Abort"))] == []
    assert "Segmentation" in said.stderr


def test_dciodvfy_finds_no_error(series, labels, tmp_path):
    write_segmentation(labels, series.affine, series, NAMES, tmp_path / "s.dcm")
    check_by_dciodvfy(tmp_path / "s.dcm")


@pytest.mark.parametrize("patient", ["pat_1", "pat_2"])
def test_real_series(lung_dir, tmp_path, patient):
    series = read_series(lung_dir / patient)
    labels = np.zeros(series.image.shape, dtype=np.uint8)
    labels[series.image < -400], labels[series.image > 200] = 1, 2
    path = tmp_path / "s.dcm"
    write_segmentation(labels, series.affine, series, ["background", "lung", "bone"], path)
    voxels, affine = read_by_highdicom(path)
    assert np.array_equal(on_the_grid(voxels, affine, series), labels)
    check_by_dciodvfy(path)
    lung = (labels == 1).astype(np.uint8)
    write_segmentation(lung, series.affine, series, ["background", "lung"], path)
    image = SimpleITK.ReadImage(str(path))
    scan = SimpleITK.GetImageFromArray(series.image.transpose(2, 1, 0))
    scan.SetSpacing([float(v) for v in np.linalg.norm(series.affine[:3, :3], axis=0)])
    scan.SetOrigin([float(v) for v in (_FLIP @ series.affine)[:3, 3]])
    found = SimpleITK.Resample(image, scan, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor)
    voxels = SimpleITK.GetArrayFromImage(found).transpose(2, 1, 0) > 0
    assert np.array_equal(*without_the_last_byte(voxels, lung))


def test_unlawful_values_are_left_empty(dicom, tmp_path):
    slices = dicom.slices()
    with quiet_pydicom():
        for ct in slices:
            ct.PatientBirthDate = ct.StudyDate = ct.StudyTime = "in May"
            ct.PatientSex, ct.PatientName = "female", "Doe"
        series = read_series(dicom.save(slices, tmp_path / "scan"))
    labels = np.ones(dicom.shape, dtype=np.uint8)
    write_segmentation(labels, series.affine, series, ["background", "heart"], tmp_path / "s.dcm")
    made = pydicom.dcmread(tmp_path / "s.dcm")
    for keyword in ("PatientBirthDate", "StudyDate", "StudyTime", "PatientSex"):
        assert not made[keyword].value
    assert made.PatientName == "Doe"


def test_input_is_untouched(series, labels, tmp_path):
    before = labels.copy(), str(series.headers[0])
    write_segmentation(labels, series.affine, series, NAMES, tmp_path / "s.dcm")
    assert np.array_equal(labels, before[0])
    assert str(series.headers[0]) == before[1]


class TestRejects:
    @pytest.fixture
    def write(self, dicom, tmp_path):
        series = read_series(dicom.save(dicom.slices(), tmp_path / "scan"))

        def write(labels=None, affine=None, names=NAMES):
            labels = np.zeros(dicom.shape, np.uint8) if labels is None else labels
            affine = series.affine if affine is None else affine
            write_segmentation(labels, affine, series, names, tmp_path / "s.dcm")

        yield SimpleNamespaceWriter(write, series)
        assert not (tmp_path / "s.dcm").exists()

    def test_rejects_fractions(self, write):
        with pytest.raises(ValueError, match=r"`label_map` to be whole numbers of shape .*float64"):
            write(labels=np.zeros((7, 6, 5)))

    def test_rejects_another_shape(self, write):
        with pytest.raises(ValueError, match=r"of shape \(7, 6, 5\), .* but got uint8 of shape"):
            write(labels=np.zeros((6, 7, 5), np.uint8))

    def test_rejects_another_grid(self, write):
        with pytest.raises(ValueError, match="`affine` to be that of the series, but the grids"):
            write(affine=write.series.affine @ np.diag([1, 1, -1, 1]))

    @pytest.mark.parametrize("value", [-1, 4])
    def test_rejects_an_index_without_a_name(self, write, value):
        with pytest.raises(ValueError, match="indices of the 4 `class_names`, but got"):
            write(labels=np.full((7, 6, 5), value, np.int16))

    def test_rejects_background_alone(self, write):
        with pytest.raises(ValueError, match="to name background and a class"):
            write(names=["background"])

    def test_rejects_a_series_without_frame_of_reference(self, write):
        for header in write.series.headers:
            del header.FrameOfReferenceUID
        with pytest.raises(ValueError, match="`series` to name its frame of reference"):
            write()

    def test_rejects_headers_that_highdicom_refuses(self, write):
        for header in write.series.headers:
            del header.StudyInstanceUID
        with pytest.raises(ValueError, match="but highdicom refuses its headers"):
            write()

    def test_rejects_without_highdicom(self, write, monkeypatch):
        monkeypatch.setitem(sys.modules, "highdicom", None)
        with pytest.raises(RuntimeError, match=r"pip install 'medkd\[dicom\]'"):
            write()


class SimpleNamespaceWriter:
    """A function that also says which series it writes about."""

    def __init__(self, write, series):
        self._write, self.series = write, series

    def __call__(self, **changes):
        self._write(**changes)
