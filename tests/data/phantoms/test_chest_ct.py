from __future__ import annotations

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from medkd.data.phantoms.chest_ct import CHEST_CLASSES, draw_chest_ct

# Milliliters of the trunk that such a scan covers.
VOLUMES = {"esophagus": (15, 80), "heart": (300, 900), "trachea": (10, 60), "aorta": (80, 350)}
COARSENING = 2


@pytest.fixture(scope="module")
def scans():
    return [draw_chest_ct(patient=patient, coarsening=COARSENING) for patient in range(4)]


@pytest.fixture(scope="module")
def fine():
    return draw_chest_ct(patient=1)


def inside(scan, name):
    return ndimage.binary_erosion(scan.label == CHEST_CLASSES.index(name))


def test_image_and_label_share_a_grid_of_the_promised_size(fine):
    assert fine.image.dtype == np.int16
    assert fine.label.dtype == np.uint8
    assert fine.image.shape == fine.label.shape
    spacing = np.linalg.norm(fine.affine[:3, :3], axis=0)
    assert spacing[0] == pytest.approx(spacing[1])
    assert spacing[2] > 1.1 * spacing[0]
    assert all(
        low <= size <= high
        for size, low, high in zip(fine.image.shape, (95, 78, 38), (122, 100, 56), strict=True)
    )


def test_organs_have_plausible_volumes(scans, fine):
    for scan in (*scans, fine):
        voxel = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
        for name, (low, high) in VOLUMES.items():
            volume = (scan.label == CHEST_CLASSES.index(name)).sum() * voxel
            assert low < volume < high, name


def test_hounsfield_units_are_those_of_the_tissues(fine):
    assert fine.image.min() >= -1024
    assert np.median(fine.image[inside(fine, "trachea")]) < -930
    assert 20 < np.median(fine.image[inside(fine, "heart")]) < 160
    assert 40 < np.median(fine.image[inside(fine, "aorta")]) < 165
    histogram = np.bincount(np.clip(fine.image.ravel() + 1024, 0, 2000), minlength=2001)
    lungs = int(histogram[100:324].argmax()) + 100 - 1024  # the peak below -700 HU
    assert -900 < lungs < -780
    milliliters = abs(np.linalg.det(fine.affine[:3, :3])) / 1000
    assert 2000 < ((fine.image > -920) & (fine.image < -700)).sum() * milliliters < 6500
    assert 150 < (fine.image > 250).sum() * milliliters < 1200  # bone
    assert (fine.image < -960).mean() > 0.1  # air around the patient


def test_the_esophagus_hardly_differs_from_what_it_touches(fine):
    esophagus = fine.label == CHEST_CLASSES.index("esophagus")
    ring = ndimage.binary_dilation(esophagus, iterations=2) & (fine.label == 0)
    solid = fine.image[esophagus & (fine.image > -150)]
    around = fine.image[ring & (np.abs(fine.image) < 150)]
    assert abs(np.median(solid) - np.median(around)) < 2.5 * around.std()


def test_organs_lie_where_they_lie_in_a_patient(scans):
    for scan in scans:
        middle = {}
        for index, name in enumerate(CHEST_CLASSES):
            voxels = np.argwhere(scan.label == index)
            middle[name] = nibabel.affines.apply_affine(scan.affine, voxels).mean(axis=0)
        assert middle["heart"][0] < -5  # to the left
        assert middle["trachea"][2] > middle["heart"][2] + 50
        assert middle["esophagus"][1] < middle["heart"][1] - 30
        assert middle["esophagus"][1] < middle["trachea"][1] - 8


def test_orientations_and_tilts_vary(scans):
    codes = {"".join(nibabel.aff2axcodes(scan.affine)) for scan in scans}
    assert {"LPS", "RAS"} <= codes
    oblique = [nibabel.affines.obliquity(scan.affine).max() > 0.01 for scan in scans]
    assert oblique == [False, True, False, True]


def test_patients_and_seeds_differ_and_repeat():
    settings = [(0, 0), (1, 0), (0, 1), (0, 0)]
    drawn = [
        draw_chest_ct(patient=patient, coarsening=6, seed=seed).image.tobytes()
        for patient, seed in settings
    ]
    assert len(set(drawn)) == 3
    assert drawn[0] == drawn[3]
