"""What a CT scanner does, whatever part of the trunk it looks at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from medkd.data.phantoms.phantom_grid import PhantomGrid, centered_affine
from medkd.data.phantoms.phantom_volume import PhantomVolume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.volume_canvas import VolumeCanvas

__all__ = ["choose_ct_grid", "finish_ct", "paint_table"]

_SLICES = (4.0, 4.5, 5.0)  # millimeters from one to the next
_TILT = 3.0  # degrees, of every second patient
_BLUR = 0.45  # voxels within a slice
_LOWEST, _HIGHEST = -1024.0, 3071.0
_OBSERVER_ERROR = 0.22  # voxels
_ORIENTATIONS = ("LPS", "RAS", "LAS")


def choose_ct_grid(
    rng: Generator,
    *,
    patient: int,
    coarsening: int,
    in_plane: Sequence[float],
    field: tuple[float, float],
    center: tuple[float, float],
    bottom: float,
    heights: tuple[float, float],
) -> PhantomGrid:
    """The voxels of a scan, which differ between patients; those of every second one are tilted.

    Args:
        rng: the source of chance.
        patient: number of the patient.
        coarsening: factor on the width of the voxels.
        in_plane: widths of a voxel to choose from, in millimeters.
        field: what a slice shows from side to side and from front to back, in millimeters.
        center: the middle of a slice.
        bottom: the lower end of the scan.
        heights: least and greatest length of the scan along the body, in millimeters.

    Returns:
        The grid.
    """
    width = float(rng.choice(in_plane)) * coarsening
    spacing = (width, width, float(rng.choice(_SLICES)) * coarsening)
    height = float(rng.uniform(*heights))
    lengths = (*field, height)
    shape = [max(4, round(length / step)) for length, step in zip(lengths, spacing, strict=True)]
    tilt = rng.normal(0.0, _TILT, 3) * (patient % 2)
    middle = (*center, bottom + height / 2)
    return PhantomGrid(shape, centered_affine(shape, spacing, center=middle, angles=tilt))


def paint_table(canvas: VolumeCanvas, grid: PhantomGrid, *, depth: float) -> None:
    """The scanner's table: a hollow, slightly bent plate below the patient.

    Args:
        canvas: what is painted on.
        grid: its voxels, not bent as the anatomy is.
        depth: of the plate behind the patient's middle, in millimeters.
    """
    plate = grid.y + np.float32(depth) - 0.0006 * grid.x**2
    edge = np.abs(grid.x) - 190.0
    canvas.paint(np.maximum(np.abs(plate) - 7.0, edge), -420.0)
    canvas.paint(np.maximum(np.abs(plate) - 4.5, edge + 2.5), -930.0)


def finish_ct(
    rng: Generator,
    canvas: VolumeCanvas,
    noise: NDArray[np.float32],
    *,
    grid: PhantomGrid,
    patient: int,
    coarsening: int,
) -> PhantomVolume:
    """Blur, add the noise, round to whole Hounsfield units, mark, and store as this patient is.

    Args:
        rng: the source of chance.
        canvas: the painted body.
        noise: what is added, ``(X, Y, Z)``, in Hounsfield units.
        grid: the voxels of the scan.
        patient: number of the patient.
        coarsening: factor on the width of the voxels.

    Returns:
        The scan and what an observer marked.
    """
    blur = _BLUR / coarsening
    image = ndimage.gaussian_filter(canvas.intensity, (blur, blur, 0.0)) + noise
    scan = PhantomVolume(
        image=np.clip(np.round(image), _LOWEST, _HIGHEST).astype(np.int16),
        label=canvas.label(rng, error=_OBSERVER_ERROR),
        affine=grid.affine,
    )
    return scan.reoriented(_ORIENTATIONS[patient % len(_ORIENTATIONS)])
