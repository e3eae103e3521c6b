"""One phantom cardiac cine frame: a stack of thick short-axis slices with both ventricles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from medkd.data.phantoms.cardiac_anatomy import (
    Heart,
    Surroundings,
    Ventricles,
    draw_heart,
    draw_surroundings,
)
from medkd.data.phantoms.phantom_grid import PhantomGrid, centered_affine
from medkd.data.phantoms.phantom_volume import PhantomVolume
from medkd.data.phantoms.volume_canvas import VolumeCanvas
from medkd.data.phantoms.volume_texture import bias_field, smooth_field, with_rician_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["CARDIAC_CLASSES", "draw_cardiac_mri"]

CARDIAC_CLASSES = ("background", "right ventricle", "myocardium", "left ventricle")
_RIGHT, _MYOCARDIUM, _LEFT = range(1, len(CARDIAC_CLASSES))
_FIELD = (184.0, 168.0)  # millimeters across the slices
_CENTER = (-6.0, 4.0)
_OVERHANG = (12.0, 4.0)  # millimeters that the stack reaches beyond base and apex
_PLANES_PER_SLICE = 4
_BREATHING = 0.9  # millimeters by which a slice is displaced, each taken in a breath of its own
_OBSERVER_ERROR = 0.22  # voxels
# Signal relative to blood.
_MUSCLE, _FAT, _LUNG, _LIVER, _BONE = 0.36, 0.85, 0.08, 0.42, 0.5
# Up in the slices, and from base to apex, in a patient whose heart points left, forward and down.
_UPWARD, _DOWN_THE_AXIS = np.array([0.2, 0.6, 0.75]), np.array([-0.62, 0.62, -0.48])


def draw_cardiac_mri(
    *, patient: int, frame: Literal["ED", "ES"], coarsening: int = 1, seed: int = 0
) -> PhantomVolume:
    """Draws one frame of the short-axis cine scan of a heart that does not exist.

    Blood is bright and muscle dark. A slice is so thick that near the apex and the base it holds
    more than one thing, and the plane of the valves is oblique to it. The papillary muscles belong
    to the cavity. The axes of the slices are oblique to the patient's.

    Args:
        patient: number of the patient, at least 0.
        frame: ``"ED"`` at the end of the filling, ``"ES"`` at the end of the beat; both frames of a
            patient have one grid.
        coarsening: factor on the width of the pixels, which are 1.8 to 2.2 mm; the slices, 8 to
            10 mm thick, stay.
        seed: seed of the data set.

    Returns:
        Signal (int16) and class indices in the order of ``CARDIAC_CLASSES``.

    Example:
        >>> filled, empty = (
        ...     draw_cardiac_mri(patient=0, frame=frame, coarsening=3) for frame in ("ED", "ES")
        ... )
        >>> int((filled.label == 3).sum()) > 1.3 * int((empty.label == 3).sum())
        True
    """
    shared = np.random.Generator(np.random.PCG64([seed, patient]))
    size = Ventricles.draw(shared)
    strength = float(shared.uniform(0.14, 0.33))
    spacing = (float(shared.uniform(1.8, 2.2)) * coarsening,) * 2
    thickness = float(shared.choice([8.0, 9.0, 10.0]))
    length = size.length + sum(_OVERHANG)
    shape = (*(round(side / spacing[0]) for side in _FIELD), round(length / thickness))
    center = (*_CENTER, size.length / 2 - (_OVERHANG[0] - _OVERHANG[1]) / 2)
    slices = centered_affine(shape, (*spacing, thickness), center=center)
    fine_shape = (*shape[:2], shape[2] * _PLANES_PER_SLICE)
    fine_spacing = (*spacing, thickness / _PLANES_PER_SLICE)
    grid = PhantomGrid(fine_shape, centered_affine(fine_shape, fine_spacing, center=center))
    shift = np.repeat(shared.normal(0.0, _BREATHING, (2, shape[2])), _PLANES_PER_SLICE, axis=1)
    anatomy = grid.bent(shared, amplitude=1.2, grain=60.0)
    anatomy.x, anatomy.y = anatomy.x + shift[0], anatomy.y + shift[1]
    pose = _pose(shared)
    gain = float(shared.uniform(90.0, 420.0))
    noise = float(shared.uniform(0.02, 0.05))
    sensitivity = bias_field(shared, grid, float(shared.uniform(0.1, 0.25)))

    canvas = VolumeCanvas(anatomy, num_classes=len(CARDIAC_CLASSES), intensity=0.02)
    _paint_surroundings(shared, canvas, draw_surroundings(shared, anatomy))
    if frame == "ES":
        size = size.contracted(strength)
    _paint_heart(shared, canvas, draw_heart(shared, anatomy, size))
    rng = np.random.Generator(np.random.PCG64([seed, patient, 1 + ("ED", "ES").index(frame)]))
    signal = _slice_means(canvas.intensity * sensitivity)
    signal = ndimage.gaussian_filter(signal, (0.4 / coarsening, 0.4 / coarsening, 0.0))
    image = gain * with_rician_noise(rng, signal, noise)
    averaged = VolumeCanvas(
        PhantomGrid(shape, slices), num_classes=len(CARDIAC_CLASSES), intensity=0
    )
    averaged.shares = np.stack([_slice_means(share) for share in canvas.shares])
    return PhantomVolume(
        image=np.round(image).astype(np.int16),
        label=averaged.label(rng, error=_OBSERVER_ERROR),
        affine=pose @ slices,
    )


def _pose(rng: Generator) -> NDArray[np.float64]:
    """Turn ``(4, 4)`` from the axes of the slices to those of a patient."""
    axis = _DOWN_THE_AXIS / np.linalg.norm(_DOWN_THE_AXIS)
    upward = _UPWARD - (_UPWARD @ axis) * axis
    upward /= np.linalg.norm(upward)
    usual = np.eye(4)
    usual[:3, :3] = np.column_stack([np.cross(upward, axis), upward, axis])
    angles = rng.normal(0.0, 6.0, 3)
    return centered_affine((1, 1, 1), (1.0, 1.0, 1.0), angles=angles) @ usual


def _slice_means(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    return planes.reshape(*planes.shape[:2], -1, _PLANES_PER_SLICE).mean(axis=-1)


def _paint_surroundings(rng: Generator, canvas: VolumeCanvas, body: Surroundings) -> None:
    grid = canvas.grid
    canvas.paint(body.trunk, _FAT + 0.05 * smooth_field(rng, grid, 14.0))
    layers = 0.3 + 0.12 * smooth_field(rng, grid, 12.0)
    canvas.paint(body.chest, layers.astype(np.float32))
    canvas.paint(body.chest + 10.0, np.clip(0.55 + 0.2 * smooth_field(rng, grid, 16.0), 0.1, 1.0))
    vessels = 0.35 * (smooth_field(rng, grid, 11.0) > 1.7)
    canvas.paint(body.lungs, (_LUNG + vessels).astype(np.float32))
    veins = 0.3 * (smooth_field(rng, grid, 14.0) > 1.5)
    canvas.paint(body.liver, (_LIVER + veins).astype(np.float32))
    canvas.paint(body.spine, _BONE + 0.06 * smooth_field(rng, grid, 8.0))
    canvas.paint(body.aorta - 1.5, 0.3)
    canvas.paint(body.aorta, 0.95)


def _paint_heart(rng: Generator, canvas: VolumeCanvas, heart: Heart) -> None:
    grid = canvas.grid
    flow = 1.0 + 0.06 * smooth_field(rng, grid, 22.0)
    muscle = _MUSCLE + 0.03 * smooth_field(rng, grid, 12.0)
    canvas.paint(heart.sac, _FAT)
    canvas.paint(heart.atria - 2.5, _MUSCLE)
    canvas.paint(heart.atria, 0.93 * flow)
    canvas.paint(heart.right_wall, muscle)
    canvas.paint(heart.right, 0.97 * flow, _RIGHT)
    canvas.paint(heart.trabeculae, 0.6, _RIGHT)
    canvas.paint(heart.muscle, muscle, _MYOCARDIUM)
    canvas.paint(heart.left, flow, _LEFT)
    canvas.paint(heart.papillary, muscle, _LEFT)
