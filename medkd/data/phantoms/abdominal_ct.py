"""One phantom abdominal CT: Hounsfield units in the portal venous phase, and the spleen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.abdomen_anatomy import draw_abdominal_organs
from medkd.data.phantoms.abdominal_bowel import draw_colon, draw_small_bowel
from medkd.data.phantoms.abdominal_vessels import draw_abdominal_vessels
from medkd.data.phantoms.abdominal_wall import draw_abdominal_wall
from medkd.data.phantoms.ct_scanner import choose_ct_grid, finish_ct, paint_table
from medkd.data.phantoms.volume_canvas import VolumeCanvas
from medkd.data.phantoms.volume_texture import smooth_field, voxel_noise

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.abdomen_anatomy import AbdominalOrgans
    from medkd.data.phantoms.abdominal_vessels import AbdominalVessels
    from medkd.data.phantoms.abdominal_wall import AbdominalWall
    from medkd.data.phantoms.phantom_volume import PhantomVolume

    Body = NDArray[np.float32]

__all__ = ["ABDOMINAL_CLASSES", "draw_abdominal_ct"]

ABDOMINAL_CLASSES = ("background", "spleen")
_SPLEEN = 1
_FIELD = (356.0, 286.0)  # millimeters from side to side and from front to back
_CENTER = (0.0, -14.0)
_BOTTOM = -86.0


@dataclass(frozen=True)
class _Tissue:
    """How the tissues of one patient look; bodies do not overlap, so they share their texture.

    Args:
        contrast: how late the scan was, from 0 while the spleen fills to 1 when all is even.
        girth: from 0 for a slim patient to 1 for a stout one.
        fine: map ``(X, Y, Z)`` of mean 0 and variance 1, changing over a few millimeters.
        coarse: likewise, over a centimeter and more.
    """

    contrast: float
    girth: float
    fine: Body
    coarse: Body


def draw_abdominal_ct(*, patient: int, coarsening: int = 1, seed: int = 0) -> PhantomVolume:
    """Draws the CT of an upper abdomen that does not exist, with the spleen in it.

    Air is at -1000 HU, lung near -850, fat near -100 and muscle near 60. The contrast agent takes
    the liver to about 105 HU, unless it is fatty, the spleen to 118 and the kidneys to 170, which
    differs by the patient and the time of the scan: nothing tells the spleen from the liver but its
    place. It borders on the lung, the ribs, the left kidney, the colon and the stomach, which may
    hold air, water, food or contrast agent.

    Args:
        patient: number of the patient, at least 0. One in two was scanned on a tilted table, and
            the order of the voxels in the file varies.
        coarsening: factor on the width of the voxels, which are about 3.4 x 3.4 x 4.5 mm.
        seed: seed of the data set.

    Returns:
        Hounsfield units (int16) and class indices in the order of ``ABDOMINAL_CLASSES``.

    Example:
        >>> scan = draw_abdominal_ct(patient=0, coarsening=6)
        >>> scan.image.dtype.name, sorted(set(scan.label.ravel().tolist()))
        ('int16', [0, 1])
    """
    rng = np.random.Generator(np.random.PCG64([seed, patient]))
    grid = choose_ct_grid(
        rng,
        patient=patient,
        coarsening=coarsening,
        in_plane=[3.2, 3.4, 3.6],
        field=_FIELD,
        center=_CENTER,
        bottom=_BOTTOM,
        heights=(178.0, 198.0),
    )
    scale = float(rng.uniform(0.93, 1.05))
    anatomy = grid.bent(rng, amplitude=2.5, grain=100.0, scale=scale)

    canvas = VolumeCanvas(anatomy, num_classes=len(ABDOMINAL_CLASSES), intensity=-1000.0)
    tissue = _Tissue(
        contrast=float(rng.uniform(0.0, 1.0)),
        girth=float(rng.uniform(0.0, 1.0)),
        fine=smooth_field(rng, anatomy, 8.0),
        coarse=smooth_field(rng, anatomy, 16.0),
    )
    wall = draw_abdominal_wall(rng, anatomy, girth=tissue.girth)
    organs = draw_abdominal_organs(rng, anatomy, wall.belly)
    vessels = draw_abdominal_vessels(rng, anatomy)
    paint_table(canvas, grid, depth=152.0)
    _paint_wall(canvas, wall, tissue)
    _paint_liver(rng, canvas, organs, vessels, tissue)
    _paint_spleen(rng, canvas, organs, tissue)
    _paint_retroperitoneum(rng, canvas, organs, vessels, tissue)
    _paint_bowel(rng, canvas, np.maximum(wall.belly, 3.0 - organs.spleen), tissue)
    _paint_stomach(rng, canvas, organs.stomach, grid.y, tissue)
    noise = _grains(rng, wall.skin, strength=float(rng.uniform(9.0, 19.0)))
    return finish_ct(rng, canvas, noise, grid=grid, patient=patient, coarsening=coarsening)


def _paint_wall(canvas: VolumeCanvas, wall: AbdominalWall, tissue: _Tissue) -> None:
    fat = -103.0 + 6.0 * tissue.coarse
    muscle = 60.0 + 5.0 * tissue.fine
    canvas.paint(wall.skin, 20.0)
    canvas.paint(wall.skin + 2.5, fat)
    canvas.paint(wall.muscle, muscle)
    canvas.paint(wall.seams, -75.0)
    # Fat between the organs, with small vessels and strands in it.
    canvas.paint(wall.cavity, fat + 24.0 * np.clip(tissue.fine - 0.3, 0.0, 2.5))
    canvas.paint(wall.back, muscle - 90.0 * (tissue.coarse > 1.5))
    sinking = np.clip(-canvas.grid.y / 80.0, -1.0, 1.0)  # blood and water sink while lying
    vessels = 120.0 * np.clip(tissue.fine - 1.1, 0.0, 2.0)
    canvas.paint(wall.lungs, (-850.0 + 25.0 * sinking + vessels).astype(np.float32))
    canvas.paint(wall.heart + 7.0, 100.0 + 25.0 * tissue.coarse)
    canvas.paint(np.minimum(wall.psoas, wall.crura), muscle)
    canvas.paint(wall.cartilage, 105.0)
    canvas.paint(wall.ribs, 430.0 + 90.0 * tissue.fine)
    canvas.paint(wall.ribs + 2.5, 190.0)
    canvas.paint(wall.vertebrae, 440.0)
    canvas.paint(wall.vertebrae + 3.0, 200.0 + 40.0 * tissue.fine)
    canvas.paint(wall.disks, 95.0)
    canvas.paint(wall.arches, 560.0 + 130.0 * tissue.fine)
    canvas.paint(wall.canal, 28.0)


def _paint_liver(
    rng: Generator,
    canvas: VolumeCanvas,
    organs: AbdominalOrgans,
    vessels: AbdominalVessels,
    tissue: _Tissue,
) -> None:
    is_fatty = int(rng.integers(5)) == 0
    liver = float(rng.normal(102.0, 7.0)) + 12.0 * tissue.contrast - 28.0 * is_fatty
    canvas.paint(organs.liver, liver + 4.0 * tissue.coarse)
    veins = liver + 10.0 + 30.0 * tissue.contrast  # the last to fill
    canvas.paint(np.maximum(vessels.hepatic_veins, organs.liver + 2.0), veins)
    canvas.paint(organs.fissure, -70.0)
    canvas.paint(organs.gallbladder - 1.5, 60.0)
    canvas.paint(organs.gallbladder, 9.0)


def _paint_spleen(
    rng: Generator, canvas: VolumeCanvas, organs: AbdominalOrgans, tissue: _Tissue
) -> None:
    spleen = float(rng.normal(116.0, 7.0)) + 4.0 * tissue.contrast
    patches = (9.0 - 6.0 * tissue.contrast) * smooth_field(rng, canvas.grid, 16.0)
    canvas.paint(organs.spleen, spleen + patches, _SPLEEN)


def _paint_retroperitoneum(
    rng: Generator,
    canvas: VolumeCanvas,
    organs: AbdominalOrgans,
    vessels: AbdominalVessels,
    tissue: _Tissue,
) -> None:
    canvas.paint(organs.kidneys - 1.5 - 7.0 * tissue.girth, -98.0 + 6.0 * tissue.fine)
    cortex = 185.0 - 10.0 * tissue.contrast + 6.0 * tissue.fine
    pyramids = np.clip(smooth_field(rng, canvas.grid, 15.0, band=True) + 0.2, 0.0, 1.0)
    pyramids = pyramids * (organs.kidneys < -6.0) * (70.0 - 50.0 * tissue.contrast)
    canvas.paint(organs.kidneys, (cortex - pyramids).astype(np.float32))
    canvas.paint(organs.sinuses, -50.0 + 50.0 * tissue.fine)
    canvas.paint(organs.pancreas, float(rng.normal(98.0, 8.0)) + 9.0 * tissue.fine)
    canvas.paint(
        np.minimum(vessels.portal_veins, vessels.renal_veins), 150.0 + 20.0 * tissue.contrast
    )
    canvas.paint(vessels.cava, 125.0 + 30.0 * tissue.contrast + 10.0 * tissue.coarse)
    canvas.paint(vessels.aorta, 168.0 - 15.0 * tissue.contrast)


def _paint_bowel(rng: Generator, canvas: VolumeCanvas, room: Body, tissue: _Tissue) -> None:
    """Bowel yields to the spleen, so it only gets the room that this leaves."""
    grid = canvas.grid
    small = draw_small_bowel(rng, grid, room)
    canvas.paint(small, 100.0 + 6.0 * tissue.fine)
    canvas.paint(small + 3.0, 28.0 + 20.0 * tissue.coarse)
    bubbles = 8.0 * (1.7 - smooth_field(rng, grid, 22.0))
    canvas.paint(np.maximum(small + 4.5, bubbles), -850.0)
    colon = draw_colon(rng, grid, room)
    canvas.paint(colon, 70.0)
    bubbles = 250.0 * np.clip(tissue.fine - 0.9, 0.0, 1.0)
    canvas.paint(colon + 2.5, 30.0 + 30.0 * tissue.fine - bubbles)
    gas = 10.0 * (0.5 - smooth_field(rng, grid, 40.0)) - 0.2 * (grid.y - 20.0)
    canvas.paint(np.maximum(colon + 3.0, gas), -960.0)


def _paint_stomach(
    rng: Generator, canvas: VolumeCanvas, stomach: Body, height: Body, tissue: _Tissue
) -> None:
    """Next to the spleen may lie water, food, contrast agent or, where ``height`` is large, air."""
    food, is_opaque = float(rng.uniform(0.0, 1.0)), int(rng.integers(5)) == 0
    meal = 8.0 + 40.0 * food + 28.0 * food * tissue.fine
    level = float(rng.uniform(10.0, 60.0))
    canvas.paint(stomach - 1.5 - 2.0 * tissue.girth, -98.0)
    canvas.paint(stomach, 82.0 + 8.0 * tissue.coarse)
    canvas.paint(stomach + 4.0, meal + 190.0 * is_opaque)
    canvas.paint(np.maximum(stomach + 4.0, level - height), -975.0)


def _grains(rng: Generator, skin: Body, *, strength: float) -> Body:
    """Noise that grows toward the middle, which fewer photons reach, and runs in streaks there."""
    depth = np.clip(-skin / 90.0, 0.0, 1.0)
    grains = voxel_noise(rng, skin.shape, blur=(0.7, 0.7, 0.3))
    streaks = voxel_noise(rng, skin.shape, blur=(4.0, 0.6, 0.0))
    return np.float32(strength) * ((0.75 + 0.35 * depth) * grains + 0.35 * depth * streaks)
