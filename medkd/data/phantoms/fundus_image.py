"""One eye of one phantom patient: photograph, labels of two observers, field of view."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy import ndimage

from medkd.data.phantoms.fundus_background import (
    Pigmentation,
    RetinaGrid,
    draw_background,
    draw_illumination,
)
from medkd.data.phantoms.fundus_lesions import draw_bleedings, draw_deposits
from medkd.data.phantoms.fundus_observers import (
    marking_probability,
    observe,
    tracing_probability,
)
from medkd.data.phantoms.vessel_raster import Samples, sample_branches, stamp
from medkd.data.phantoms.vessel_tree import Anatomy, grow_vessels

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

__all__ = ["FundusImage", "draw_fundus"]

_FIELD_FRACTION = 0.478  # radius of the field of view relative to the width of the image
_THINNEST_RADIUS = 0.42  # pixels
_SUPERSAMPLING = 2
_FULL_RADIUS = 0.0152  # a vein this thick, in units of the field's radius, has its full depth
_VEIN_DEPTH, _ARTERY_DEPTH = 0.85, 0.66
# Absorption of blood in red, green and blue relative to green; arteries carry more oxygen.
_VEIN_ABSORPTION = np.array([0.46, 1.0, 1.15], dtype=np.float32)
_ARTERY_ABSORPTION = np.array([0.24, 1.0, 1.1], dtype=np.float32)
_EXUDATE = np.array([0.98, 0.84, 0.45], dtype=np.float32)
_HAZE = np.array([0.6, 0.9, 1.0], dtype=np.float32)


@dataclass(frozen=True)
class FundusImage:
    """A phantom photograph and what is known about it; all maps are ``(size, size)``.

    Args:
        image: ``(size, size, 3)``, red, green and blue in 0..255.
        label: what the first observer marked.
        label_2nd: what the second observer marked.
        mask: the field of view.
        vessel_prob: probability that an observer marks the pixel, in ``[0, 1]``: what a perfectly
            calibrated network would say.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.bool_]
    label_2nd: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    vessel_prob: NDArray[np.float32]


def draw_fundus(*, patient: int, eye: Literal["L", "R"], size: int, seed: int) -> FundusImage:
    """Draws one eye of a patient who does not exist.

    Everything follows from the arguments: the same ones give the same pixels. The two eyes of a
    patient share pigmentation, health and camera, and have vessels of their own.

    Args:
        patient: number of the patient, at least 0.
        eye: ``"R"`` has its disc on the right, ``"L"`` on the left.
        size: height and width in pixels.
        seed: seed of the data set.

    Returns:
        The photograph and its labels. Nothing is marked outside the field of view.

    Example:
        >>> fundus = draw_fundus(patient=0, eye="L", size=48, seed=0)
        >>> fundus.image.shape, fundus.image.dtype.name
        ((48, 48, 3), 'uint8')
        >>> bool((fundus.label & ~fundus.mask).any())
        False
    """
    shared = np.random.Generator(np.random.PCG64([seed, patient]))
    pigmentation = Pigmentation.draw(shared)
    severity = float(np.clip(shared.normal(0.08, 0.3), 0.0, 0.6))
    blur = float(shared.uniform(0.45, 0.85)) * max(size / 384, 0.6)
    noise = float(shared.uniform(0.008, 0.016))
    rng = np.random.Generator(np.random.PCG64([seed, patient, 1 + "LR".index(eye)]))

    radius = _FIELD_FRACTION * size
    center = (size / 2 + float(rng.normal(0, 0.003)) * size, size / 2)
    grid = RetinaGrid(size, center, radius)
    anatomy = _draw_anatomy(rng)
    branches = grow_vessels(rng, anatomy, min_radius=_THINNEST_RADIUS / radius)
    samples = sample_branches(branches, field_center=center, field_radius=radius)
    depth = _optical_depth(samples, radius)
    trace = tracing_probability(depth, samples.radius, blur=blur)

    scene = draw_background(rng, grid, anatomy, pigmentation)
    deposits = draw_deposits(rng, grid, anatomy, severity=severity)
    scene = scene + deposits[..., None] * (_EXUDATE - scene)
    bleedings = draw_bleedings(rng, grid, anatomy, severity=severity)
    scene = scene * np.exp(-bleedings[..., None] * _VEIN_ABSORPTION)
    scene = scene * _vessel_transmission(samples, depth, size)
    scene = scene * draw_illumination(rng, grid)[..., None]
    image = _photograph(rng, grid, scene, blur=blur, noise=noise)

    mask = grid.distance((0.0, 0.0)) < 1.0
    fundus = FundusImage(
        image=image,
        label=observe(rng, samples, trace, size) & mask,
        label_2nd=observe(rng, samples, trace, size) & mask,
        mask=mask,
        vessel_prob=marking_probability(samples, trace, size) * mask,
    )
    return fundus if eye == "R" else _mirrored(fundus)


def _mirrored(fundus: FundusImage) -> FundusImage:
    """A left eye from a right one."""
    return FundusImage(
        image=np.ascontiguousarray(fundus.image[:, ::-1]),
        label=np.ascontiguousarray(fundus.label[:, ::-1]),
        label_2nd=np.ascontiguousarray(fundus.label_2nd[:, ::-1]),
        mask=np.ascontiguousarray(fundus.mask[:, ::-1]),
        vessel_prob=np.ascontiguousarray(fundus.vessel_prob[:, ::-1]),
    )


def _draw_anatomy(rng: Generator) -> Anatomy:
    """Disc and fovea of a right eye, about 15 degrees apart in a field of 45 degrees."""
    disc = (float(rng.uniform(0.40, 0.56)), float(rng.normal(0.0, 0.035)))
    gap = float(rng.normal(0.68, 0.025))
    drop = float(rng.normal(0.07, 0.02))
    return Anatomy(disc, float(rng.uniform(0.118, 0.140)), (disc[0] - gap, disc[1] + drop))


def _optical_depth(samples: Samples, field_radius: float) -> NDArray[np.float32]:
    """Optical depth in green at the middle of each sample, ``(P,)``: less for the thin and deep."""
    full_radius = max(field_radius * _FULL_RADIUS, 3.0 * _THINNEST_RADIUS)
    calibre = np.minimum(samples.radius / full_radius, 1.3)
    full = np.where(samples.is_vein, np.float32(_VEIN_DEPTH), np.float32(_ARTERY_DEPTH))
    return full * calibre**0.5 * samples.visibility


def _vessel_transmission(
    samples: Samples, depth: NDArray[np.float32], size: int
) -> NDArray[np.float32]:
    """Fraction of the light that the vessels let through, ``(size, size, 3)``."""
    blood = {}
    for is_vein in (False, True):
        chosen = samples.is_vein == is_vein
        blood[is_vein] = _blood_column(samples.select(chosen), depth[chosen], size)
    shape = (size, _SUPERSAMPLING, size, _SUPERSAMPLING)
    channels = []
    for artery, vein in zip(_ARTERY_ABSORPTION, _VEIN_ABSORPTION, strict=True):
        light = np.exp(-artery * blood[False] - vein * blood[True])
        channels.append(light.reshape(shape).mean(axis=(1, 3)))
    return np.stack(channels, axis=-1)


def _blood_column(samples: Samples, depth: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Optical depth of round vessels, with the light reflex along the middle of the wider ones."""

    def profile(distance: NDArray[np.float32], chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        across = distance / samples.radius[chosen]
        return depth[chosen] * np.sqrt(np.maximum(1.0 - across**2, 0.0)) ** 0.8

    def reflex(distance: NDArray[np.float32], chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        across = distance / (0.30 * samples.radius[chosen])
        strength = np.where(samples.is_vein[chosen], 0.16, 0.42)
        wide = np.clip(samples.radius[chosen] - 0.8, 0.0, 1.0)
        return strength * wide * np.exp(-(across**2))

    column = stamp(samples, size, profile, scale=_SUPERSAMPLING, margin=0.0)
    shine = stamp(samples, size, reflex, scale=_SUPERSAMPLING, margin=0.0)
    return column * (1.0 - shine)


def _photograph(
    rng: Generator, grid: RetinaGrid, scene: NDArray[np.float32], *, blur: float, noise: float
) -> NDArray[np.uint8]:
    """What the camera makes of a scene: optics, exposure, shot noise, and the black surround."""
    size = grid.size
    focused = ndimage.gaussian_filter(scene, (blur, blur, 0))
    exposure = float(rng.uniform(0.92, 1.08))
    haze = float(rng.uniform(0.0, 0.035)) * np.clip(grid.distance((0.0, 0.0)), 0, 1) ** 3
    light = focused * exposure + haze[..., None] * _HAZE
    light = 1.0 - np.exp(-1.25 * light**1.15)  # the shoulder of the film
    light = light / (1.0 - math.exp(-1.25))
    luma, chroma = (
        rng.standard_normal((size, size, channels), dtype=np.float32) for channels in (1, 3)
    )
    grains = ndimage.gaussian_filter(0.8 * luma + 0.6 * chroma, (0.45, 0.45, 0)) * 1.6
    light = light + noise * grains * np.sqrt(np.maximum(light, 0.02))
    edge = np.clip((1.0 - grid.distance((0.0, 0.0))) * grid.radius + 0.5, 0.0, 1.0)[..., None]
    surround = 0.008 + 0.004 * luma
    return np.clip(np.rint(255 * (edge * light + (1 - edge) * surround)), 0, 255).astype(np.uint8)
