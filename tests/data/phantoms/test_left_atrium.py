from __future__ import annotations

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from medkd.data.phantoms import draw_left_atrium


@pytest.fixture(scope="module")
def scans():
    return [draw_left_atrium(patient=patient) for patient in range(6)]


def brightness(scan, chosen):
    return float(np.median(scan.image[chosen]))


def test_atria_have_plausible_volumes(scans):
    volumes = [
        (scan.label == 1).sum() * abs(np.linalg.det(scan.affine[:3, :3])) / 1000 for scan in scans
    ]
    assert all(50 < volume < 170 for volume in volumes)
    assert max(volumes) > 1.15 * min(volumes)


def test_an_atrium_is_in_one_piece_and_within_the_scan(scans):
    for scan in scans:
        pieces, _ = ndimage.label(scan.label)
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes.max() > 0.98 * sizes.sum()
        for axis in range(3):
            assert not scan.label.take([0, -1], axis=axis).any()


def test_slices_are_thicker_than_pixels_and_some_are_oblique(scans):
    for scan in scans:
        assert scan.image.dtype == np.int16
        assert scan.image.shape == scan.label.shape
        spacing = np.linalg.norm(scan.affine[:3, :3], axis=0)
        assert spacing[0] == pytest.approx(spacing[1])
        assert 1.6 <= spacing[0] <= 2.0
        assert 2.4 < spacing[2] < 3.1
    lean = [nibabel.affines.obliquity(scan.affine).max() for scan in scans]
    assert lean[0] == pytest.approx(0, abs=1e-6)
    assert lean[1] > 0.02
    assert {"".join(nibabel.aff2axcodes(scan.affine)) for scan in scans} == {"LPS", "RAS", "LAS"}


def test_the_atrium_is_as_bright_as_its_neighbors(scans):
    """Brightness alone does not find it: as much again, or more, of the scan is as bright."""
    for scan in scans:
        inside = scan.label == 1
        rim = ndimage.binary_dilation(inside, iterations=4) & ~ndimage.binary_dilation(inside)
        assert brightness(scan, inside) > 1.3 * brightness(scan, rim)
        as_bright = scan.image > 0.8 * brightness(scan, inside)
        assert (as_bright & ~inside).sum() > (as_bright & inside).sum()


def test_nothing_is_to_be_seen_where_valve_and_veins_begin(scans):
    """At a part of the border, what lies outside is blood, too."""
    for scan in scans:
        inside = scan.label == 1
        beyond = ndimage.binary_dilation(inside, iterations=3) & ~inside
        as_bright = scan.image > 0.85 * brightness(scan, inside)
        assert 0.05 < as_bright[beyond].mean() < 0.6


def test_contrast_and_units_differ_between_scans(scans):
    levels = [brightness(scan, scan.label == 1) for scan in scans]
    assert max(levels) > 1.5 * min(levels)


def test_the_same_arguments_give_the_same_voxels():
    first, second = (draw_left_atrium(patient=1, coarsening=4, seed=3) for _ in range(2))
    other = draw_left_atrium(patient=1, coarsening=4, seed=4)
    assert first.image.tobytes() == second.image.tobytes()
    assert first.label.tobytes() == second.label.tobytes()
    assert first.image.tobytes() != other.image.tobytes()
