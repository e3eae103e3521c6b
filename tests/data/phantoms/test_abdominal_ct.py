from __future__ import annotations

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from medkd.data.phantoms.abdominal_ct import draw_abdominal_ct

COARSENING = 2


@pytest.fixture(scope="module")
def scans():
    return [draw_abdominal_ct(patient=patient, coarsening=COARSENING) for patient in range(6)]


@pytest.fixture(scope="module")
def fine():
    return draw_abdominal_ct(patient=3)


def milliliters(scan):
    return abs(np.linalg.det(scan.affine[:3, :3])) / 1000


def place(scan, voxels):
    """Middle of some voxels in millimeters to the right, to the front and up."""
    return nibabel.affines.apply_affine(scan.affine, np.argwhere(voxels)).mean(axis=0)


def test_image_and_label_share_a_grid_of_the_promised_size(fine):
    assert fine.image.dtype == np.int16
    assert fine.label.dtype == np.uint8
    assert fine.image.shape == fine.label.shape
    spacing = np.linalg.norm(fine.affine[:3, :3], axis=0)
    assert spacing[0] == pytest.approx(spacing[1])
    assert spacing[2] > 1.1 * spacing[0]
    assert all(
        low <= size <= high
        for size, low, high in zip(fine.image.shape, (98, 78, 35), (112, 90, 50), strict=True)
    )


def test_spleens_have_plausible_volumes(scans, fine):
    volumes = [(scan.label == 1).sum() * milliliters(scan) for scan in (*scans, fine)]
    assert all(50 < volume < 450 for volume in volumes)
    assert max(volumes) > 1.5 * min(volumes)


def test_a_spleen_is_in_one_piece_and_within_the_scan(scans, fine):
    for scan in (*scans, fine):
        pieces, _ = ndimage.label(scan.label)
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes.max() > 0.98 * sizes.sum()
        for axis in range(3):
            assert not scan.label.take([0, -1], axis=axis).any()


def test_the_spleen_lies_to_the_left_and_behind(scans):
    from_middle = np.array(
        [place(scan, scan.label == 1) - place(scan, scan.image > -200) for scan in scans]
    )
    assert (from_middle[:, 0] < -60).all()
    assert (from_middle[:, 1] < 5).all()
    assert from_middle[:, 1].mean() < -4


def test_hounsfield_units_are_those_of_the_tissues(fine):
    assert fine.image.min() >= -1024
    assert 95 < np.median(fine.image[ndimage.binary_erosion(fine.label == 1)]) < 140
    volume = milliliters(fine)
    assert 500 < ((fine.image > -920) & (fine.image < -700)).sum() * volume < 5000  # lung
    assert 1000 < ((fine.image > -130) & (fine.image < -70)).sum() * volume < 8000  # fat
    assert 150 < (fine.image > 250).sum() * volume < 1200  # bone
    assert (fine.image < -960).mean() > 0.1  # air around the patient


def test_brightness_alone_does_not_find_the_spleen(scans):
    """As much again, or more, of the scan is as bright: liver, bowel wall, pancreas, veins."""
    for scan in scans:
        spleen = scan.label == 1
        core = scan.image[ndimage.binary_erosion(spleen)]
        low, high = np.percentile(core, [10, 90])
        is_as_bright = (scan.image >= low) & (scan.image <= high) & ~spleen
        assert is_as_bright.sum() > spleen.sum()
        right = place(scan, is_as_bright)[0]
        assert right > place(scan, spleen)[0] + 60  # most of it is the liver


def test_the_spleen_borders_on_lung_and_fat_and_soft_tissue(fine):
    spleen = fine.label == 1
    ring = ndimage.binary_dilation(spleen, iterations=2) & ~ndimage.binary_dilation(spleen)
    around = fine.image[ring]
    assert (around < -400).mean() > 0.03
    assert ((around > -150) & (around < -40)).mean() > 0.1
    assert ((around > 0) & (around < 160)).mean() > 0.2


def test_orientations_and_tilts_vary(scans):
    codes = {"".join(nibabel.aff2axcodes(scan.affine)) for scan in scans}
    assert codes == {"LPS", "RAS", "LAS"}
    oblique = [nibabel.affines.obliquity(scan.affine).max() > 0.01 for scan in scans[:4]]
    assert oblique == [False, True, False, True]


def test_patients_and_seeds_differ_and_repeat():
    settings = [(0, 0), (1, 0), (0, 1), (0, 0)]
    drawn = [
        draw_abdominal_ct(patient=patient, coarsening=6, seed=seed).image.tobytes()
        for patient, seed in settings
    ]
    assert len(set(drawn)) == 3
    assert drawn[0] == drawn[3]
