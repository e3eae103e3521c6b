"""Chance in volumes: smooth fields that belong to the anatomy, and noise of the voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

__all__ = ["bias_field", "smooth_field", "voxel_noise", "with_rician_noise"]

_SPREAD = 0.4  # standard deviation of a blob in grains
_NARROW, _WIDE = 0.4, 0.64  # the two blobs whose difference has evenly spaced zeros
_PITCH = 0.5  # grains between the points that blobs stand on


def smooth_field(
    rng: Generator, grid: PhantomGrid, grain: float, *, band: bool = False
) -> NDArray[np.float32]:
    """A Gaussian random field of mean 0 and variance 1 whose blobs are about ``grain`` wide.

    A blob stands on each point of a lattice, with a random height. Blobs are products over the
    axes, so the sum over all of them is three small products of matrices.

    Args:
        rng: the source of chance.
        grid: voxels of the volume; the lattice lies along its axes.
        grain: size of a blob in millimeters.
        band: whether to take away slow changes, so that the zeros are evenly spaced.

    Returns:
        Map ``(X, Y, Z)``.
    """
    axes = [
        np.arange(size) * step / grain for size, step in zip(grid.shape, grid.spacing, strict=True)
    ]
    lattices = [np.arange(-1.5, axis[-1] + 1.5 + _PITCH, _PITCH) for axis in axes]
    heights = rng.standard_normal([len(lattice) for lattice in lattices], dtype=np.float32)
    if not band:
        return _blobs(heights, axes, lattices, _SPREAD)
    # Wide and narrow blobs on the same points are correlated; taking most of them away is enough.
    field = _blobs(heights, axes, lattices, _NARROW) - 0.8 * _blobs(heights, axes, lattices, _WIDE)
    return (field / field.std()).astype(np.float32)


def _blobs(
    heights: NDArray[np.float32],
    axes: list[NDArray[np.float64]],
    lattices: list[NDArray[np.float64]],
    spread: float,
) -> NDArray[np.float32]:
    """Sum over blobs at the places of the voxels, of variance 1 at each of them."""
    field = heights
    for axis, lattice in zip(axes, lattices, strict=True):
        weight = np.exp(-0.5 * ((axis[:, None] - lattice) / spread) ** 2)
        weight /= np.linalg.norm(weight, axis=1, keepdims=True)
        # The first axis leaves and comes back as the last one: three times, and all are in order.
        field = np.tensordot(field, weight.astype(np.float32), axes=(0, 1))
    return field


def voxel_noise(
    rng: Generator, shape: Sequence[int], *, blur: Sequence[float]
) -> NDArray[np.float32]:
    """Noise of a scanner: mean 0, variance 1, correlated between neighbors.

    Args:
        rng: the source of chance.
        shape: shape of the volume.
        blur: standard deviation of the correlation along each axis, in voxels.

    Returns:
        Map of that shape.
    """
    noise = ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), blur)
    return noise / noise.std()


def bias_field(rng: Generator, grid: PhantomGrid, strength: float) -> NDArray[np.float32]:
    """How sensitive the coil is at each voxel: smooth, positive, 1 in the geometric mean.

    Args:
        rng: the source of chance.
        grid: voxels of the volume.
        strength: standard deviation of the logarithm.

    Returns:
        Map ``(X, Y, Z)``.
    """
    field = smooth_field(rng, grid, 160.0)
    slope = rng.normal(0.0, 0.012, 3)
    field = field + slope[0] * grid.x + slope[1] * grid.y + slope[2] * grid.z
    return np.exp(np.float32(strength) * (field - field.mean()) / field.std())


def with_rician_noise(
    rng: Generator, signal: NDArray[np.float32], noise: float
) -> NDArray[np.float32]:
    """Magnitude of a signal with noise in its real and imaginary part.

    Args:
        rng: the source of chance.
        signal: at least 0.
        noise: standard deviation in each part, in units of the signal.

    Returns:
        Map of the same shape, at least 0.
    """
    real, imaginary = rng.standard_normal((2, *signal.shape), dtype=np.float32)
    return np.hypot(signal + np.float32(noise) * real, np.float32(noise) * imaginary)
