"""The voxels of a volume in the patient: their coordinates in millimeters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from medkd.data.phantoms.volume_texture import smooth_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.random import Generator
    from numpy.typing import ArrayLike, NDArray

__all__ = ["PhantomGrid", "centered_affine"]


def centered_affine(
    shape: Sequence[int],
    spacing: Sequence[float],
    *,
    center: ArrayLike = (0.0, 0.0, 0.0),
    angles: ArrayLike = (0.0, 0.0, 0.0),
) -> NDArray[np.float64]:
    """Affine of a volume turned about its middle.

    Args:
        shape: voxels along each axis.
        spacing: millimeters between voxels along each axis.
        center: where the middle of the volume lies, in millimeters.
        angles: turns about the three axes, one after the other, in degrees.

    Returns:
        ``(4, 4)``, from voxel indices to millimeters.

    Example:
        >>> centered_affine((3, 3, 5), (2.0, 2.0, 4.0))[:3, 3].tolist()
        [-2.0, -2.0, -8.0]
    """
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", np.asarray(angles), degrees=True).as_matrix()
    affine[:3, :3] = turn * np.asarray(spacing)
    affine[:3, 3] = np.asarray(center) - affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


class PhantomGrid:
    """Where each voxel lies in the anatomy.

    Args:
        shape: voxels along each axis.
        affine: ``(4, 4)``, from voxel indices to millimeters.
    """

    def __init__(self, shape: Sequence[int], affine: NDArray[np.float64]) -> None:
        self.shape = tuple(shape)
        self.affine = affine
        self.spacing = np.linalg.norm(affine[:3, :3], axis=0)
        index = np.meshgrid(*map(np.arange, shape), indexing="ij", sparse=True)
        steps = affine.astype(np.float32)
        self.x, self.y, self.z = (
            sum(
                (np.float32(step) * axis.astype(np.float32))
                for step, axis in zip(row[:3], index, strict=True)
            )
            + row[3]
            for row in steps[:3]
        )

    @property
    def reach(self) -> float:
        """How far from a surface a voxel surely is filled or empty, in millimeters."""
        return float(self.spacing.sum())

    def bent(
        self, rng: Generator, *, amplitude: float, grain: float, scale: float = 1.0
    ) -> PhantomGrid:
        """The same voxels in an anatomy that is larger by ``scale`` and smoothly bent.

        Args:
            rng: the source of chance.
            amplitude: standard deviation of the displacement along each axis in millimeters.
            grain: over how many millimeters the displacement changes.
            scale: size of this patient relative to the anatomy as it is written down.

        Returns:
            Grid of the same shape.
        """
        grid = PhantomGrid(self.shape, self.affine)
        grid.x, grid.y, grid.z = (
            (axis + np.float32(amplitude) * smooth_field(rng, self, grain)) / np.float32(scale)
            for axis in (self.x, self.y, self.z)
        )
        return grid
