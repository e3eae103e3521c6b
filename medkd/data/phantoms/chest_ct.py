"""One phantom chest CT: Hounsfield units and the organs of the mediastinum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.chest_anatomy import draw_chest_wall, draw_organs
from medkd.data.phantoms.ct_scanner import choose_ct_grid, finish_ct, paint_table
from medkd.data.phantoms.lung_vessels import draw_lung_vessels
from medkd.data.phantoms.volume_canvas import VolumeCanvas
from medkd.data.phantoms.volume_texture import smooth_field, voxel_noise

if TYPE_CHECKING:
    from numpy.random import Generator

    from medkd.data.phantoms.chest_anatomy import ChestWall, Organs
    from medkd.data.phantoms.phantom_volume import PhantomVolume

__all__ = ["CHEST_CLASSES", "draw_chest_ct"]

CHEST_CLASSES = ("background", "esophagus", "heart", "trachea", "aorta")
_ESOPHAGUS, _HEART, _TRACHEA, _AORTA = range(1, len(CHEST_CLASSES))
_FIELD = (348.0, 282.0)  # millimeters from side to side and from front to back
_CENTER = (0.0, -33.0)
_BOTTOM = -128.0


def draw_chest_ct(*, patient: int, coarsening: int = 1, seed: int = 0) -> PhantomVolume:
    """Draws the CT of a chest that does not exist.

    Air is at -1000 HU, lung near -830, fat near -100, soft tissue near 40, blood between 45 and 150
    by the patient's contrast agent, and bone from 200 up. The esophagus hardly differs from what it
    touches, so that no contour of it can be certain.

    Args:
        patient: number of the patient, at least 0. One in two was scanned on a tilted table, and
            the order of the voxels in the file varies.
        coarsening: factor on the width of the voxels, which are about 3.2 x 3.2 x 4.5 mm.
        seed: seed of the data set.

    Returns:
        Hounsfield units (int16) and class indices in the order of ``CHEST_CLASSES``.

    Example:
        >>> scan = draw_chest_ct(patient=0, coarsening=6)
        >>> scan.image.dtype.name, sorted(set(scan.label.ravel().tolist()))
        ('int16', [0, 1, 2, 3, 4])
    """
    rng = np.random.Generator(np.random.PCG64([seed, patient]))
    grid = choose_ct_grid(
        rng,
        patient=patient,
        coarsening=coarsening,
        in_plane=[2.9, 3.1, 3.3, 3.5],
        field=_FIELD,
        center=_CENTER,
        bottom=_BOTTOM,
        heights=(198.0, 216.0),
    )
    scale = float(rng.uniform(0.93, 1.04))
    anatomy = grid.bent(rng, amplitude=2.2, grain=110.0, scale=scale)

    canvas = VolumeCanvas(anatomy, num_classes=len(CHEST_CLASSES), intensity=-1000.0)
    wall, organs = draw_chest_wall(rng, anatomy), draw_organs(rng, anatomy)
    contrast = float(rng.uniform(0.0, 1.0))
    paint_table(canvas, grid, depth=160.0)
    _paint_wall(rng, canvas, wall, contrast)
    _paint_organs(rng, canvas, wall, organs, contrast)
    grains = voxel_noise(rng, grid.shape, blur=(0.7, 0.7, 0.3))
    noise = np.float32(rng.uniform(9.0, 20.0)) * grains
    return finish_ct(rng, canvas, noise, grid=grid, patient=patient, coarsening=coarsening)


def _paint_wall(rng: Generator, canvas: VolumeCanvas, wall: ChestWall, contrast: float) -> None:
    grid = canvas.grid
    canvas.paint(wall.skin, 20.0)
    canvas.paint(wall.skin + 2.5, -102.0 + 8.0 * smooth_field(rng, grid, 12.0))
    strands = 55.0 - 130.0 * (smooth_field(rng, grid, 16.0) > 1.2)
    canvas.paint(wall.muscle, strands.astype(np.float32))
    canvas.paint(wall.scapulae, 380.0 + 120.0 * smooth_field(rng, grid, 10.0))
    # Fat between the organs of the mediastinum, with strands and nodes in it.
    tissue = -75.0 + 45.0 * smooth_field(rng, grid, 11.0) + 25.0 * smooth_field(rng, grid, 6.0)
    canvas.paint(wall.cavity, np.clip(tissue, -110.0, 45.0))
    liver = 58.0 + 45.0 * contrast
    spleen = np.where(smooth_field(rng, grid, 30.0) > 0.2, 50.0 + 50.0 * contrast, -95.0)
    side = (grid.x > -12.0 + 6.0 * smooth_field(rng, grid, 30.0)).astype(np.float32)
    belly = side * liver + (1.0 - side) * spleen
    canvas.paint(wall.abdomen, belly.astype(np.float32) + 6.0 * smooth_field(rng, grid, 12.0))
    for bone, hounsfield in ((wall.ribs, 430.0), (wall.sternum, 260.0)):
        canvas.paint(bone, hounsfield + 90.0 * smooth_field(rng, grid, 7.0))
        canvas.paint(bone + 2.5, 190.0)
    canvas.paint(wall.cartilage, 110.0)
    canvas.paint(wall.vertebrae, 480.0)
    canvas.paint(wall.vertebrae + 3.0, 210.0 + 50.0 * smooth_field(rng, grid, 6.0))
    canvas.paint(wall.disks, 90.0)
    canvas.paint(wall.arches, 620.0 + 150.0 * smooth_field(rng, grid, 8.0))
    canvas.paint(wall.canal, 25.0)


def _paint_organs(
    rng: Generator, canvas: VolumeCanvas, wall: ChestWall, organs: Organs, contrast: float
) -> None:
    grid = canvas.grid
    blood = 45.0 + 105.0 * contrast
    backward = np.clip(-grid.y / 80.0, -1.0, 1.0)  # blood and water sink while lying
    lung = -835.0 + 30.0 * backward + 18.0 * smooth_field(rng, grid, 14.0)
    canvas.paint(wall.lungs, lung.astype(np.float32))
    vessels = draw_lung_vessels(rng, grid)
    canvas.paint(np.maximum(vessels, wall.lungs + 4.0), 30.0)
    canvas.paint(organs.other_vessels, blood - 12.0 * float(rng.random()))
    # The sac's fat, the muscle, and the blood in it.
    sac = np.maximum(organs.heart - 2.5, -organs.other_vessels)
    canvas.paint(sac, -70.0)
    muscle = 42.0 + 35.0 * contrast + 5.0 * smooth_field(rng, grid, 15.0)
    canvas.paint(organs.heart, muscle.astype(np.float32), _HEART)
    canvas.paint(organs.chambers, blood, _HEART)
    groove = np.abs(smooth_field(rng, grid, 45.0)) * 14.0 - 2.2
    canvas.paint(np.maximum(np.maximum(groove, organs.heart), -organs.heart - 7.0), -45.0, _HEART)
    canvas.paint(organs.aorta - 1.2, 38.0)
    canvas.paint(organs.esophagus, 36.0 + 6.0 * smooth_field(rng, grid, 9.0), _ESOPHAGUS)
    canvas.paint(organs.esophagus_air, -550.0, _ESOPHAGUS)
    canvas.paint(organs.aorta, blood, _AORTA)
    canvas.paint(organs.airway_wall, 15.0)
    canvas.paint(organs.bronchi, -990.0)
    canvas.paint(organs.trachea, -990.0, _TRACHEA)
