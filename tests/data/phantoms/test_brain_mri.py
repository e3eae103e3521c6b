from __future__ import annotations

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from medkd.data.phantoms.brain_mri import BRAIN_CLASSES, draw_brain_mri

# Milliliters, wide enough for small and old brains.
VOLUMES = {
    "white matter": (300, 700),
    "cortical gray matter": (300, 750),
    "basal ganglia and thalami": (12, 50),
    "ventricular cerebrospinal fluid": (8, 90),
    "cerebellum": (90, 190),
    "brain stem": (12, 45),
}


@pytest.fixture(scope="module")
def scans():
    return [draw_brain_mri(patient=patient) for patient in range(5)]


def median(scan, name):
    return float(np.median(scan.image[scan.label == BRAIN_CLASSES.index(name)]))


def test_structures_have_plausible_volumes(scans):
    for scan in scans:
        voxel = abs(np.linalg.det(scan.affine[:3, :3])) / 1000
        for name, (low, high) in VOLUMES.items():
            volume = (scan.label == BRAIN_CLASSES.index(name)).sum() * voxel
            assert low < volume < high, name


def test_structures_are_as_bright_as_in_a_t1_scan(scans):
    for scan in scans:
        assert (
            median(scan, "white matter")
            > median(scan, "basal ganglia and thalami")
            > median(scan, "cortical gray matter")
            > 1.5 * median(scan, "ventricular cerebrospinal fluid")
        )


def test_the_skull_is_gone_and_the_brain_is_in_one_piece(scans):
    for scan in scans:
        assert (scan.image >= 0).all()
        assert (scan.image == 0).mean() > 0.4
        assert not scan.label[0].any()
        assert not scan.label[-1].any()
        pieces, _ = ndimage.label(scan.label > 0)
        sizes = np.bincount(pieces.ravel())[1:]
        assert sizes.max() > 0.99 * sizes.sum()


def test_the_cortex_is_folded(scans):
    """Its surface is larger than that of a smooth body of the same volume by far."""
    for scan in scans[:2]:
        white = scan.label == BRAIN_CLASSES.index("white matter")
        faces = sum(np.abs(np.diff(white.astype(int), axis=axis)).sum() for axis in range(3))
        ball = 1.5 * (36 * np.pi) ** (1 / 3) * white.sum() ** (2 / 3)
        assert faces > 2.0 * ball


def test_both_hemispheres_are_alike_but_not_mirrored(scans):
    scan = scans[0]
    assert "".join(nibabel.aff2axcodes(scan.affine)) == "RAS"
    white = scan.label == BRAIN_CLASSES.index("white matter")
    left, right = np.array_split(white, 2)
    assert left.sum() == pytest.approx(right.sum(), rel=0.15)
    both = (left & right[::-1]).sum()
    assert both < 0.95 * min(left.sum(), right.sum())


def test_units_types_grids_and_orientations_vary(scans):
    units = [median(scan, "white matter") for scan in scans]
    assert max(units) > 300 * min(units)
    assert {scan.image.dtype.name for scan in scans} == {"int16", "float32"}
    assert len({scan.image.shape for scan in scans}) >= 4
    assert len({"".join(nibabel.aff2axcodes(scan.affine)) for scan in scans}) >= 4
    spacings = [np.linalg.norm(scan.affine[:3, :3], axis=0) for scan in scans]
    ratios = [spacing.max() / spacing.min() for spacing in spacings]
    assert sum(ratio > 1.5 for ratio in ratios) == 1
    oblique = [nibabel.affines.obliquity(scan.affine).max() > 0.01 for scan in scans]
    assert any(oblique)
    assert not all(oblique)


@pytest.mark.parametrize("coarsening", [2, 3])
def test_coarse_scans_hold_every_structure(coarsening):
    for patient in range(3):
        scan = draw_brain_mri(patient=patient, coarsening=coarsening)
        assert set(np.unique(scan.label)) == set(range(7))
        assert scan.image.size < 600_000 / coarsening**3 * 1.3


def test_the_same_arguments_give_the_same_voxels():
    first, second = (draw_brain_mri(patient=2, coarsening=4, seed=5) for _ in range(2))
    assert first.image.tobytes() == second.image.tobytes()
    assert first.label.tobytes() == second.label.tobytes()
