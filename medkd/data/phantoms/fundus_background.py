"""The retina behind its vessels: pigment, choroid, nerve fibers, macula, disc and lighting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy import ndimage

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.vessel_tree import Anatomy

__all__ = ["Pigmentation", "RetinaGrid", "draw_background", "draw_illumination", "smooth_noise"]

# Red, green and blue of a lightly and a strongly pigmented fundus, and of two parts of the disc.
_FAIR = np.array([0.90, 0.40, 0.17], dtype=np.float32)
_DARK = np.array([0.56, 0.235, 0.085], dtype=np.float32)
_ORANGE = np.array([0.93, 0.34, 0.09], dtype=np.float32)
_DISC_RIM = np.array([0.97, 0.60, 0.25], dtype=np.float32)
_DISC_CUP = np.array([1.00, 0.83, 0.50], dtype=np.float32)

# Optical depth of the macular pigment, sheen of the nerve fibers, and what the choroid's net,
# patches and grains do to the logarithm of each color.
_MACULAR_PIGMENT = np.array([0.55, 1.0, 1.1], dtype=np.float32)
_SHEEN = np.array([0.10, 0.13, 0.08], dtype=np.float32)
_NET = np.array([0.14, 0.26, 0.22], dtype=np.float32)
_PATCHES = np.array([0.05, 0.085, 0.10], dtype=np.float32)
_GRAINS = np.array([0.010, 0.022, 0.025], dtype=np.float32)


@dataclass(frozen=True)
class Pigmentation:
    """What the two eyes of a patient share in color.

    Args:
        melanin: 0 for a fair fundus, 1 for a dark one.
        warmth: 0 for brownish, 1 for orange.
        tessellation: how clearly the vessels of the choroid shine through, 0 to 1.
        cup_ratio: diameter of the cup relative to that of the disc.
    """

    melanin: float
    warmth: float
    tessellation: float
    cup_ratio: float

    @classmethod
    def draw(cls, rng: Generator) -> Pigmentation:
        """A patient taken at random."""
        return cls(
            melanin=float(rng.uniform(0.0, 1.0)),
            warmth=float(rng.uniform(0.0, 0.8)),
            tessellation=float(rng.beta(1.6, 2.0)),
            cup_ratio=float(rng.uniform(0.32, 0.6)),
        )


class RetinaGrid:
    """Coordinates of the pixels of a square image, in units of the radius of the field of view.

    Args:
        size: height and width in pixels.
        center: center of the field of view (x, y) in pixels.
        radius: its radius in pixels.
    """

    def __init__(self, size: int, center: tuple[float, float], radius: float) -> None:
        axis = np.arange(size, dtype=np.float32) + np.float32(0.5)
        self.size, self.radius = size, radius
        self.x, self.y = np.meshgrid((axis - center[0]) / radius, (axis - center[1]) / radius)

    def distance(self, place: tuple[float, float]) -> NDArray[np.float32]:
        """Distance of each pixel to ``place``, ``(size, size)``."""
        return np.hypot(self.x - place[0], self.y - place[1])

    def spot(self, place: tuple[float, float], width: float) -> NDArray[np.float32]:
        """A Gaussian of height 1 and standard deviation ``width`` at ``place``."""
        return np.exp(-0.5 * (self.distance(place) / width) ** 2)


def smooth_noise(rng: Generator, grid: RetinaGrid, grain: float) -> NDArray[np.float32]:
    """Noise of mean 0 and variance near 1 whose blobs are about ``grain`` wide.

    Args:
        rng: the source of chance.
        grid: pixels of the image.
        grain: size of a blob in units of the radius of the field of view. The same seed gives the
            same pattern at every size of image.

    Returns:
        Map ``(size, size)``.
    """
    cells = max(4, round(2.1 / grain))
    coarse = ndimage.gaussian_filter(rng.standard_normal((cells, cells)), 0.8, mode="wrap")
    coarse /= coarse.std()
    resized = Image.fromarray(coarse.astype(np.float32)).resize(
        (grid.size, grid.size), Image.Resampling.BICUBIC
    )
    return np.asarray(resized)


def draw_background(
    rng: Generator, grid: RetinaGrid, anatomy: Anatomy, pigmentation: Pigmentation
) -> NDArray[np.float32]:
    """The retina without vessels under even light, ``(size, size, 3)`` in ``[0, 1]``."""
    color = _FAIR + pigmentation.melanin * (_DARK - _FAIR)
    color = color + pigmentation.warmth * 0.6 * (_ORANGE - color)
    retina = color * np.exp(_choroid(rng, grid, anatomy, pigmentation))
    retina = retina * np.exp(-_macula(rng, grid, anatomy)[..., None] * _MACULAR_PIGMENT)
    sheen = _nerve_fibers(rng, grid, anatomy)
    retina = retina + sheen[..., None] * _SHEEN
    retina = _with_disc(rng, grid, anatomy, pigmentation.cup_ratio, retina)
    return np.clip(retina, 0.0, 1.0)


def _choroid(
    rng: Generator, grid: RetinaGrid, anatomy: Anatomy, pigmentation: Pigmentation
) -> NDArray[np.float32]:
    """Logarithm of the color's variation from choroid and pigment epithelium."""
    # Choroidal vessels: a net of ridges, drawn out toward the periphery by warping.
    warp = 0.05 * smooth_noise(rng, grid, 0.25)
    ridges = np.exp(-np.abs(smooth_noise(rng, grid, 0.085) + 4.0 * warp) * 2.2)
    ridges += 0.6 * np.exp(-np.abs(smooth_noise(rng, grid, 0.05)) * 2.2)
    net = (ridges - ridges.mean()) * pigmentation.tessellation
    net *= 1.0 - 0.75 * grid.spot(anatomy.fovea, 0.35)
    patches = 0.6 * smooth_noise(rng, grid, 0.5) + 0.4 * smooth_noise(rng, grid, 0.2)
    grains = smooth_noise(rng, grid, 0.028) + smooth_noise(rng, grid, 0.014)
    return net[..., None] * _NET + patches[..., None] * _PATCHES + grains[..., None] * _GRAINS


def _macula(rng: Generator, grid: RetinaGrid, anatomy: Anatomy) -> NDArray[np.float32]:
    """Optical depth of the macular pigment, ``(size, size)``, with a glint in the foveal pit."""
    strength = float(rng.uniform(0.28, 0.42))
    mottle = 1.0 + 0.08 * smooth_noise(rng, grid, 0.06)
    depth = strength * (grid.spot(anatomy.fovea, 0.21) * mottle)
    depth += 0.22 * grid.spot(anatomy.fovea, 0.065)
    glint = (anatomy.fovea[0] + 0.008, anatomy.fovea[1] - 0.006)
    return depth - float(rng.uniform(0.0, 0.35)) * grid.spot(glint, 0.012)


def _nerve_fibers(rng: Generator, grid: RetinaGrid, anatomy: Anatomy) -> NDArray[np.float32]:
    """Sheen of the nerve fibers, brightest along the arcades near the disc, finely striated."""
    dx, dy = grid.x - anatomy.disc[0], grid.y - anatomy.disc[1]
    # Temporal fibers arch round the fovea like parabolas; nasal ones run straight.
    along = np.where(dx < 0.0, -np.sqrt(np.abs(dx) * 0.45), dx)
    angle = np.arctan2(dy, along)
    far = np.hypot(dx, dy)
    pattern = ndimage.gaussian_filter(rng.standard_normal((24, 420)), (2.0, 0.9), mode="wrap")
    pattern /= pattern.std()
    rows = np.clip(far * 12.0, 0.0, 22.0)
    columns = (angle / (2 * np.pi) + 0.5) * 419.0
    streaks = ndimage.map_coordinates(pattern, [rows, columns], order=1, mode="nearest")
    bundles = np.exp(-0.5 * ((np.abs(angle) - 1.95) / 0.42) ** 2)
    bundles += 0.35 * np.exp(-0.5 * ((np.abs(angle) - 0.9) / 0.5) ** 2)
    fading = np.exp(-(((far - anatomy.disc_radius) / 0.34) ** 2)) * (
        far > 0.5 * anatomy.disc_radius
    )
    cloud = 1.0 + 0.4 * smooth_noise(rng, grid, 0.22)
    sheen = bundles * fading * cloud * (0.55 + 0.38 * streaks)
    return float(rng.uniform(0.2, 1.0)) * np.maximum(sheen, -0.1)


def _with_disc(
    rng: Generator,
    grid: RetinaGrid,
    anatomy: Anatomy,
    cup_ratio: float,
    retina: NDArray[np.float32],
) -> NDArray[np.float32]:
    """``retina`` with the optic disc on it: pale cup, rosy rim, and a ring of pigment round it."""
    dx, dy = grid.x - anatomy.disc[0], grid.y - anatomy.disc[1]
    tilt = float(rng.normal(0.0, 0.15))
    across = dx * np.cos(tilt) + dy * np.sin(tilt)
    upright = dy * np.cos(tilt) - dx * np.sin(tilt)
    ragged = 1.0 + 0.03 * smooth_noise(rng, grid, 0.12)
    rho = np.hypot(across / 0.93, upright / 1.07) / anatomy.disc_radius * ragged
    disc = _soft_step(1.0 - rho, 0.075)
    # The temporal side of the rim is paler, its cup lies a little temporal.
    rim = _DISC_RIM * (1.0 - 0.10 * np.clip(across / anatomy.disc_radius, -1, 1))[..., None]
    rim = rim * (1.0 + 0.03 * smooth_noise(rng, grid, 0.04))[..., None]
    cup_rho = np.hypot(across + 0.12 * anatomy.disc_radius, upright) / anatomy.disc_radius
    cup = _soft_step(cup_ratio - cup_rho * ragged, 0.18)
    surface = rim + (cup * 0.9)[..., None] * (_DISC_CUP - rim)
    # Pigment gathers at the temporal edge, and light scatters round the disc.
    crescent = np.exp(-(((rho - 1.09) / 0.07) ** 2)) * _soft_step(-across / 0.1 - 0.4, 0.3)
    halo = np.exp(-np.maximum(rho - 1.0, 0.0) / 0.35)
    retina = retina * (1.0 + 0.10 * halo - 0.28 * float(rng.random()) * crescent)[..., None]
    return retina + disc[..., None] * (surface - retina)


def _soft_step(value: NDArray[np.float32], width: float) -> NDArray[np.float32]:
    """0 below and 1 above zero, with a smooth flank of about ``width``."""
    return 0.5 * (1.0 + np.tanh(value / width))


def draw_illumination(rng: Generator, grid: RetinaGrid) -> NDArray[np.float32]:
    """How much light reaches each pixel, ``(size, size)``, about 1 where the flash is brightest."""
    bright = (float(rng.normal(0.0, 0.22)), float(rng.normal(0.0, 0.18)))
    falloff = float(rng.uniform(0.18, 0.42))
    light = 1.0 - falloff * np.clip(grid.distance(bright), 0.0, 1.5) ** 2
    slope = rng.normal(0.0, 0.07, 2)
    light = light + slope[0] * grid.x + slope[1] * grid.y + 0.03 * smooth_noise(rng, grid, 0.7)
    # The pupil's edge shades the rim of the field, more on one side.
    shaded = grid.distance((float(rng.normal(0.0, 0.04)), float(rng.normal(0.0, 0.04))))
    return np.clip(light * (1.0 - 0.35 * _soft_step(shaded - 0.99, 0.08)), 0.05, None)
