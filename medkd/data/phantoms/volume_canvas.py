"""Painting bodies over each other with the partial volume of their borders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.data.phantoms.volume_shapes import coverage
from medkd.data.phantoms.volume_texture import smooth_field

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

    from medkd.data.phantoms.phantom_grid import PhantomGrid

__all__ = ["VolumeCanvas"]

_BORDER_GRAIN = 9.0  # millimeters along a border over which an observer errs to one side


class VolumeCanvas:
    """A volume to paint on: what each voxel looks like, and which part of it is which class.

    Args:
        grid: voxels of the volume.
        num_classes: number of classes, the background included.
        intensity: what the empty volume looks like.
    """

    def __init__(self, grid: PhantomGrid, *, num_classes: int, intensity: float) -> None:
        self.grid = grid
        self.intensity = np.full(grid.shape, intensity, dtype=np.float32)
        self.shares = np.zeros((num_classes, *grid.shape), dtype=np.float32)
        self.shares[0] = 1.0

    def paint(
        self,
        body: NDArray[np.float32],
        intensity: NDArray[np.float32] | float,
        class_index: int = 0,
    ) -> None:
        """Paint a body over what is there.

        Args:
            body: map ``(X, Y, Z)`` that is negative inside.
            intensity: what it looks like: a number, or a map ``(X, Y, Z)``.
            class_index: its class.
        """
        filled = coverage(body)
        touched = filled > 0
        part = filled[touched]
        looks = intensity[touched] if isinstance(intensity, np.ndarray) else np.float32(intensity)
        self.intensity[touched] += part * (looks - self.intensity[touched])
        for share in self.shares:
            share[touched] *= 1.0 - part
        self.shares[class_index][touched] += part

    def label(self, rng: Generator, *, error: float) -> NDArray[np.uint8]:
        """The class an observer gives each voxel: the largest share, with an error at borders.

        The error is smooth along the border, as a contour drawn by hand errs, and changes nothing
        in voxels that one class fills.

        Args:
            rng: the observer's chance.
            error: standard deviation, as a part of a voxel's width.

        Returns:
            Class indices ``(X, Y, Z)``.
        """
        best = np.full(self.grid.shape, -np.inf, dtype=np.float32)
        label = np.zeros(self.grid.shape, dtype=np.uint8)
        for class_index, share in enumerate(self.shares):
            slip = smooth_field(rng, self.grid, _BORDER_GRAIN)
            score = share + np.float32(2.8 * error) * slip * share * (1.0 - share)
            better = score > best
            label[better] = class_index
            best[better] = score[better]
        return label
