from __future__ import annotations

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from medkd.data.phantoms.cardiac_anatomy import Ventricles
from medkd.data.phantoms.cardiac_mri import draw_cardiac_mri

_RIGHT, _MUSCLE, _LEFT = 1, 2, 3


@pytest.fixture(scope="module")
def patients():
    return [
        tuple(draw_cardiac_mri(patient=patient, frame=frame) for frame in ("ED", "ES"))
        for patient in range(3)
    ]


def milliliters(scan, index):
    return (scan.label == index).sum() * abs(np.linalg.det(scan.affine[:3, :3])) / 1000


def test_ventricles_have_plausible_volumes(patients):
    for filled, empty in patients:
        assert 60 < milliliters(filled, _LEFT) < 300
        assert 70 < milliliters(filled, _RIGHT) < 300
        assert 60 < milliliters(filled, _MUSCLE) < 300
        for index in (_LEFT, _RIGHT):
            ejected = 1 - milliliters(empty, index) / milliliters(filled, index)
            assert 0.15 < ejected < 0.85
        ratio = milliliters(empty, _MUSCLE) / milliliters(filled, _MUSCLE)
        assert 0.75 < ratio < 1.25  # muscle cannot be squeezed


def test_frames_of_a_patient_share_their_grid(patients):
    for filled, empty in patients:
        assert filled.image.shape == empty.image.shape
        np.testing.assert_array_equal(filled.affine, empty.affine)


def test_slices_are_thick_and_oblique(patients):
    for filled, _ in patients:
        assert filled.image.dtype == np.int16
        assert all(size in range(75, 111) for size in filled.image.shape[:2])
        assert filled.image.shape[2] in range(8, 14)
        spacing = np.linalg.norm(filled.affine[:3, :3], axis=0)
        assert spacing[0] == pytest.approx(spacing[1])
        assert 1.8 <= spacing[0] <= 2.2
        assert 7.99 < spacing[2] < 10.01
        assert nibabel.affines.obliquity(filled.affine).min() > 0.1
        # From the base to the apex the slices go to the left and down.
        assert filled.affine[0, 2] < 0
        assert filled.affine[2, 2] < 0


def test_blood_is_bright_and_muscle_dark(patients):
    for filled, _ in patients:
        blood, muscle = (
            np.median(filled.image[filled.label == index]) for index in (_LEFT, _MUSCLE)
        )
        assert blood > 1.7 * muscle


def test_papillary_muscles_are_part_of_the_cavity(patients):
    """Dark spots inside the label of the left ventricle, in at least one slice."""
    for filled, _ in patients:
        cavity = ndimage.binary_erosion(filled.label == _LEFT, np.ones((3, 3, 1)), iterations=2)
        blood = np.median(filled.image[cavity])
        assert (filled.image[cavity] < 0.7 * blood).sum() > 20


def test_muscle_surrounds_the_left_ventricle_and_the_apex_is_small(patients):
    for filled, _ in patients:
        sizes = (filled.label == _LEFT).sum(axis=(0, 1))
        levels = np.flatnonzero(sizes)
        assert sizes[levels[-1]] < 0.55 * sizes.max()
        level = levels[len(levels) // 2]
        label = filled.label[..., level]
        ring = ndimage.binary_dilation(label == _LEFT) & (label != _LEFT)
        assert (label[ring] == _MUSCLE).all()


def test_a_beat_keeps_the_muscle_in_the_section():
    filled = Ventricles(radius=25.0, wall=9.0, length=85.0, right=34.0, base=0.0)
    still = filled.contracted(0.0)
    assert (still.radius, still.base, still.right) == (25.0, 0.0, 34.0)
    assert still.wall == pytest.approx(9.0)
    empty = filled.contracted(0.3)
    assert empty.radius == pytest.approx(17.5)
    assert empty.wall > 1.3 * filled.wall


def test_the_same_arguments_give_the_same_voxels():
    settings = dict(patient=1, frame="ES", coarsening=4, seed=3)
    first, second = (draw_cardiac_mri(**settings) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.label.tobytes() == second.label.tobytes()
