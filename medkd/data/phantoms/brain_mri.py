"""One phantom brain: T1-weighted magnetic resonance without the skull, and six structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from medkd.data.phantoms.brain_anatomy import draw_brain
from medkd.data.phantoms.phantom_grid import PhantomGrid, centered_affine
from medkd.data.phantoms.phantom_volume import PhantomVolume
from medkd.data.phantoms.volume_canvas import VolumeCanvas
from medkd.data.phantoms.volume_texture import bias_field, smooth_field, with_rician_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.brain_anatomy import Brain

__all__ = ["BRAIN_CLASSES", "draw_brain_mri"]

BRAIN_CLASSES = (
    "background",
    "white matter",
    "cortical gray matter",
    "basal ganglia and thalami",
    "ventricular cerebrospinal fluid",
    "cerebellum",
    "brain stem",
)
_WHITE, _CORTEX, _DEEP_GRAY, _VENTRICLES, _CEREBELLUM, _STEM = range(1, len(BRAIN_CLASSES))
# T1-weighted signal of a young adult's white matter is 1.
_FLUID_SIGNAL, _CORTEX_SIGNAL, _DEEP_GRAY_SIGNAL, _STEM_SIGNAL = 0.24, 0.66, 0.79, 0.92
_SPACINGS = ((2.0, 2.0, 2.0), (2.2, 2.2, 2.2), (2.5, 2.5, 2.5), (2.0, 2.0, 2.0), (1.9, 1.9, 3.6))
_ORIENTATIONS = ("RAS", "LPS", "PSR", "LIA", "RAS")
_UNITS = (1000.0, 1.0, 250.0, 80.0, 600.0, 12.0)
_SMALLEST_INTEGER_UNIT = 100.0  # scanners with small units store fractions
_EXTENT = (146.0, 188.0, 152.0)  # millimeters that hold any brain
_CENTER = (0.0, -8.0, 0.0)
_OBSERVER_ERROR = 0.2  # voxels


def draw_brain_mri(*, patient: int, coarsening: int = 1, seed: int = 0) -> PhantomVolume:
    """Draws the T1-weighted scan of a brain that does not exist, without its skull.

    White matter is brighter than the basal ganglia, these than the folded cortex, and this than
    fluid; outside the brain all is 0. The unit differs between scans by up to a thousand, and a
    smooth field of the coil lies over each.

    Args:
        patient: number of the patient, at least 0. Spacing, unit and order of the voxels in the
            file go round with it.
        coarsening: factor on the width of the voxels, which are 2.0 to 2.5 mm, in one scan of five
            1.9 x 1.9 x 3.6 mm.
        seed: seed of the data set.

    Returns:
        Signal (int16 or float32) and class indices in the order of ``BRAIN_CLASSES``.

    Example:
        >>> scan = draw_brain_mri(patient=1, coarsening=4)
        >>> scan.image.dtype.name, float(scan.image.min())
        ('float32', 0.0)
    """
    rng = np.random.Generator(np.random.PCG64([seed, patient]))
    spacing = [step * coarsening for step in _SPACINGS[patient % len(_SPACINGS)]]
    lengths = np.array(_EXTENT) + rng.uniform(0.0, 8.0, 3)
    shape = [round(length / step) for length, step in zip(lengths, spacing, strict=True)]
    tilt = rng.normal(0.0, 4.0, 3) * (patient % 3 == 1)
    grid = PhantomGrid(shape, centered_affine(shape, spacing, center=_CENTER, angles=tilt))
    scale = float(rng.uniform(0.92, 1.0))
    anatomy = grid.bent(rng, amplitude=1.4, grain=70.0, scale=scale)

    atrophy = float(rng.uniform(0.0, 1.0))
    brain = draw_brain(rng, anatomy, atrophy=atrophy)
    canvas = VolumeCanvas(anatomy, num_classes=len(BRAIN_CLASSES), intensity=0.0)
    stripped = _paint(rng, canvas, brain, aging=atrophy)
    # A skull stripper leaves or takes away a little of the fluid.
    error = np.clip(0.12 * smooth_field(rng, grid, 20.0), -0.3, 0.3)
    mask = ndimage.binary_fill_holes(stripped > 0.4 + error)
    signal = canvas.intensity * bias_field(rng, grid, float(rng.uniform(0.04, 0.13)))
    signal = with_rician_noise(rng, signal, float(rng.uniform(0.02, 0.045))) * mask
    label = canvas.label(rng, error=_OBSERVER_ERROR) * mask
    unit = _UNITS[patient % len(_UNITS)] * float(rng.uniform(0.8, 1.25))
    scan = PhantomVolume(_in_units(signal, unit), label.astype(np.uint8), grid.affine)
    return scan.reoriented(_ORIENTATIONS[patient % len(_ORIENTATIONS)])


def _paint(
    rng: Generator, canvas: VolumeCanvas, brain: Brain, *, aging: float
) -> NDArray[np.float32]:
    """Paints the brain, and returns which part of each voxel it fills with its fluid."""
    grid = canvas.grid
    everything = np.minimum.reduce([brain.hull, brain.cerebellum, brain.brain_stem])
    canvas.paint(everything - 0.8, 1.0)
    filled = canvas.intensity.copy()
    canvas.paint(everything - 0.8, _FLUID_SIGNAL)
    canvas.paint(brain.cortex, _CORTEX_SIGNAL + 0.02 * smooth_field(rng, grid, 25.0), _CORTEX)
    # Fibers shine a little unevenly, and age darkens spots beside the ventricles.
    white = 1.0 + 0.02 * smooth_field(rng, grid, 25.0)
    spots = np.clip(smooth_field(rng, grid, 9.0) - 2.0, 0.0, 1.0)
    white = white - 0.3 * aging * spots * (brain.ventricles < 12.0)
    canvas.paint(brain.white_matter, white.astype(np.float32), _WHITE)
    canvas.paint(brain.brain_stem, _STEM_SIGNAL + 0.03 * smooth_field(rng, grid, 14.0), _STEM)
    deep = _DEEP_GRAY_SIGNAL + 0.03 * smooth_field(rng, grid, 14.0)
    canvas.paint(brain.deep_gray, deep.astype(np.float32), _DEEP_GRAY)
    canvas.paint(brain.cerebellum, _CORTEX_SIGNAL, _CEREBELLUM)
    canvas.paint(brain.arbor, 0.95, _CEREBELLUM)
    canvas.paint(brain.folia, 0.42, _CEREBELLUM)
    canvas.paint(brain.ventricles, _FLUID_SIGNAL, _VENTRICLES)
    return filled


def _in_units(signal: NDArray[np.float32], unit: float) -> NDArray[np.int16 | np.float32]:
    if unit < _SMALLEST_INTEGER_UNIT:
        return (signal * np.float32(unit)).astype(np.float32)
    return np.round(signal * unit).astype(np.int16)
