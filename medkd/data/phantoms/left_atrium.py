"""One phantom left atrium: late gadolinium-enhanced magnetic resonance of the heart's base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from medkd.data.phantoms.left_atrium_anatomy import (
    Atrium,
    Mediastinum,
    draw_atrium,
    draw_mediastinum,
)
from medkd.data.phantoms.phantom_grid import PhantomGrid, centered_affine
from medkd.data.phantoms.phantom_volume import PhantomVolume
from medkd.data.phantoms.volume_canvas import VolumeCanvas
from medkd.data.phantoms.volume_texture import bias_field, smooth_field, with_rician_noise

if TYPE_CHECKING:
    from numpy.random import Generator

__all__ = ["LEFT_ATRIUM_CLASSES", "draw_left_atrium"]

LEFT_ATRIUM_CLASSES = ("background", "left atrium")
_ATRIUM = 1
_EXTENT = (160.0, 136.0, 96.0)  # millimeters
_CENTER = (0.0, 2.0, -2.0)
_ORIENTATIONS = ("LPS", "RAS", "LAS")
_BLUR = 0.5  # voxels
_OBSERVER_ERROR = 0.25  # voxels
# Signal relative to a scar, which keeps the contrast agent; that of healthy muscle is nulled.
_FAT, _LUNG, _AIR, _BONE, _SOFT, _SCAR = 0.42, 0.08, 0.03, 0.28, 0.38, 1.0


def draw_left_atrium(*, patient: int, coarsening: int = 1, seed: int = 0) -> PhantomVolume:
    """Draws the late gadolinium-enhanced scan of a left atrium that does not exist.

    Blood is bright in all chambers and vessels alike, the nulled muscle between them is dark and
    thin, and scars in the atrium's wall are brighter than blood. The label holds the cavity with
    its appendage and the first centimeter of the lung veins; where a vein is no longer atrium, and
    where the valve parts atrium and ventricle, there is nothing to be seen.

    Args:
        patient: number of the patient, at least 0. Tilt and order of the voxels in the file go
            round with it.
        coarsening: factor on the width of the voxels, which are 1.6 to 2.0 mm within slices of 2.5
            to 3 mm.
        seed: seed of the data set.

    Returns:
        Signal (int16) and class indices in the order of ``LEFT_ATRIUM_CLASSES``.

    Example:
        >>> scan = draw_left_atrium(patient=0, coarsening=4)
        >>> scan.image.dtype.name, sorted(set(scan.label.flat)) == [0, 1]
        ('int16', True)
    """
    rng = np.random.Generator(np.random.PCG64([seed, patient]))
    across, thickness = float(rng.uniform(1.6, 2.0)), float(rng.choice([2.5, 2.75, 3.0]))
    spacing = [step * coarsening for step in (across, across, thickness)]
    lengths = np.array(_EXTENT) + rng.uniform(0.0, 10.0, 3)
    shape = [round(length / step) for length, step in zip(lengths, spacing, strict=True)]
    center = np.array(_CENTER) + rng.normal(0.0, 3.0, 3)
    tilt = rng.normal(0.0, 7.0, 3) * (patient % 3 == 1)
    grid = PhantomGrid(shape, centered_affine(shape, spacing, center=center, angles=tilt))
    scale = float(rng.uniform(0.92, 1.06))
    anatomy = grid.bent(rng, amplitude=1.8, grain=55.0, scale=scale)

    canvas = VolumeCanvas(anatomy, num_classes=len(LEFT_ATRIUM_CLASSES), intensity=_FAT)
    blood = float(rng.uniform(0.55, 0.85))
    muscle = float(rng.uniform(0.14, 0.3))
    _paint_mediastinum(rng, canvas, draw_mediastinum(rng, anatomy), blood=blood, muscle=muscle)
    _paint_atrium(rng, canvas, draw_atrium(rng, anatomy), blood=blood, muscle=muscle)
    signal = canvas.intensity * bias_field(rng, grid, float(rng.uniform(0.14, 0.3)))
    signal = ndimage.gaussian_filter(signal, _BLUR / coarsening)
    signal = with_rician_noise(rng, signal, float(rng.uniform(0.04, 0.08)))
    image = np.round(signal * float(rng.uniform(150.0, 900.0))).astype(np.int16)
    scan = PhantomVolume(image, canvas.label(rng, error=_OBSERVER_ERROR), grid.affine)
    return scan.reoriented(_ORIENTATIONS[patient % len(_ORIENTATIONS)])


def _paint_mediastinum(
    rng: Generator, canvas: VolumeCanvas, body: Mediastinum, *, blood: float, muscle: float
) -> None:
    grid = canvas.grid
    canvas.intensity += 0.06 * smooth_field(rng, grid, 16.0)
    lung = _LUNG + 0.3 * np.clip(smooth_field(rng, grid, 10.0) - 1.4, 0.0, 1.0)
    canvas.paint(body.lungs, lung.astype(np.float32))
    canvas.paint(body.spine, _BONE + 0.05 * smooth_field(rng, grid, 9.0))
    canvas.paint(body.esophagus, _SOFT + 0.08 * smooth_field(rng, grid, 7.0))
    canvas.paint(body.sac, _FAT)
    canvas.paint(body.airway - 1.5, _SOFT)
    canvas.paint(body.airway, _AIR)
    flow = 1.0 + 0.05 * smooth_field(rng, grid, 24.0)
    looks = (blood * flow).astype(np.float32)
    walls = (muscle + 0.03 * smooth_field(rng, grid, 12.0)).astype(np.float32)
    canvas.paint(body.right_ventricle - 3.0, walls)
    canvas.paint(body.right_ventricle, 1.02 * looks)
    canvas.paint(body.left_ventricle, walls)
    canvas.paint(body.left_ventricle + 10.0, looks)
    canvas.paint(body.right_atrium - 2.0, walls)
    canvas.paint(body.right_atrium, 1.04 * looks)
    canvas.paint(body.vessels - 1.8, walls)
    canvas.paint(body.vessels, 0.96 * looks)


def _paint_atrium(
    rng: Generator, canvas: VolumeCanvas, atrium: Atrium, *, blood: float, muscle: float
) -> None:
    grid = canvas.grid
    flow = 1.0 + 0.06 * smooth_field(rng, grid, 22.0)
    looks = (blood * flow).astype(np.float32)
    extent = float(rng.uniform(0.6, 1.6))  # the lower, the more of the wall is scarred
    scarred = np.clip(2.0 * (smooth_field(rng, grid, 15.0) - extent), 0.0, 1.0)
    walls = (muscle + (_SCAR - muscle) * scarred).astype(np.float32)
    canvas.paint(atrium.inflow, looks)
    canvas.paint(atrium.wall, walls)
    canvas.paint(atrium.veins, looks)
    canvas.paint(atrium.cavity, looks, _ATRIUM)
