from __future__ import annotations

import numpy as np
import pydicom
import pytest

from medkd.data.dicom import read_series
from medkd.data.dicom.structure_set import StructureSet


@pytest.fixture
def series(scan):
    return read_series(scan)


def test_contours_lie_where_they_were_drawn(dicom, series):
    box = dicom.box
    made = dicom.contours(
        dicom.slices(),
        {
            "Lung_L": [box((1, 4), (0, 2), 1), box((1, 4), (0, 2), 2), box((2, 3), (1, 1), 2)],
            "GTV-1": [box((6, 6), (5, 5), 4)],
        },
    )
    structures = StructureSet(made)
    assert structures.names == ("Lung_L", "GTV-1")
    expected = np.zeros(dicom.shape, dtype=bool)
    expected[1:5, 0:3, 1:3] = True
    expected[2:4, 1, 2] = False  # the inner contour is a hole
    assert np.array_equal(structures.mask("Lung_L", series), expected)
    tumor = structures.mask("GTV-1", series)
    assert np.argwhere(tumor).tolist() == [[6, 5, 4]]


def test_an_oblique_series(dicom, tmp_path):
    slices = dicom.slices(orientation=dicom.oblique)
    series = read_series(dicom.save(slices, tmp_path / "scan"))
    corners = np.array([[0.5, 0.5, 3], [4.5, 0.5, 3], [4.5, 3.5, 3], [0.5, 3.5, 3]])
    lps = (np.c_[corners, np.ones(4)] @ series.affine.T)[:, :3] * (-1, -1, 1)
    mask = StructureSet(dicom.contours(slices, {"heart": [lps]})).mask("heart", series)
    expected = np.zeros(dicom.shape, dtype=bool)
    expected[1:5, 1:4, 3] = True
    assert np.array_equal(mask, expected)


def test_a_contour_that_is_stored_twice_is_no_hole(dicom, series):
    made = dicom.contours(dicom.slices(), {"heart": [dicom.box((1, 4), (1, 3), 2)] * 2})
    assert StructureSet(made).mask("heart", series).sum() == 12


def test_points_and_lines_are_passed_over(dicom):
    drawn = {"isocenter": [[(0, 0, 0)]], "heart": [dicom.box((1, 1), (1, 1), 0)]}
    made = dicom.contours(dicom.slices(), drawn)
    made.ROIContourSequence[0].ContourSequence[0].ContourGeometricType = "POINT"
    assert StructureSet(made).names == ("heart",)


def test_structures_of_one_name_are_joined(dicom, series):
    boxes = {"a": [dicom.box((1, 2), (1, 2), 2)], "b": [dicom.box((2, 4), (1, 2), 2)]}
    made = dicom.contours(dicom.slices(), boxes)
    for roi in made.StructureSetROISequence:
        roi.ROIName = "heart"
    assert StructureSet(made).mask("heart", series).sum() == 8


@pytest.mark.parametrize(
    ("place", "message"),
    [(2.3, r"one is up to 0\.75 mm off the nearest"), (-1, "lies beyond"), (5, "lies beyond")],
)
def test_rejects_contours_beside_the_slices(dicom, series, place, message):
    made = dicom.contours(dicom.slices(), {"heart": [dicom.box((1, 2), (1, 2), place)]})
    with pytest.raises(ValueError, match=message):
        StructureSet(made).mask("heart", series)


def test_rejects_a_tilted_contour(dicom, series):
    corners = dicom.box((1, 4), (1, 3), 2)
    corners[0, 2] += 2
    made = dicom.contours(dicom.slices(), {"heart": [corners]})
    with pytest.raises(ValueError, match="2 mm off the nearest"):
        StructureSet(made).mask("heart", series)


@pytest.mark.parametrize(("patient", "slices"), [("pat_1", 26), ("pat_2", 7)])
def test_real_contours(lung_dir, patient, slices):
    """They name no image, the scan is not square, and the shoelace formula knows their area."""
    folder = lung_dir / patient
    series = read_series(folder)
    made = pydicom.dcmread(next(folder.glob("DCM_RS*")))
    mask = StructureSet(made).mask("GTV-1", series)
    assert int(mask.any(axis=(0, 1)).sum()) == slices
    (drawn,) = made.ROIContourSequence
    for contour in drawn.ContourSequence:
        x, y, z = np.reshape(contour.ContourData, (-1, 3)).astype(float).T
        area = abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))) / 2
        place = round((z[0] - series.affine[2, 3]) / series.affine[2, 2])
        pixel = abs(series.affine[0, 0] * series.affine[1, 1])
        length = np.hypot(x - np.roll(x, -1), y - np.roll(y, -1)).sum()
        assert abs(mask[:, :, place].sum() * pixel - area) <= 0.5 * length
        index = [*np.argwhere(mask[:, :, place]).mean(axis=0), place, 1]
        right, front, _, _ = series.affine @ index
        assert x.min() < -right < x.max()
        assert y.min() < -front < y.max()
