"""From one grid of voxels to another, a map at a time and a slab at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.utils.type_conversion import convert_to_tensor
from scipy import ndimage

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["resample_map"]

_SPATIAL_DIMS = 3
_SLAB_VOXELS = 1 << 22
# How far, in voxels, a grid may lie askew and still be walked axis by axis: what the float32 of a
# header leaves, far below what moves a label.
_ASKEW = 1e-3
_MARGIN = 1.0  # voxels beyond the outermost centers that still take the nearest of them
_TIE = 1e-4  # halfway between two voxels is the upper one's, whichever way it was rounded


def resample_map(
    volume: Tensor,
    *,
    affine: NDArray[np.float64],
    target_affine: NDArray[np.float64],
    target_shape: Sequence[int],
) -> Tensor:
    """Bring one map to another grid of the same space.

    Whole numbers are labels and take the value of the nearest voxel; floating-point maps are
    interpolated linearly. Where the axes of both grids are parallel, in any order and direction and
    however oblique to the scanner's, the map is gathered axis by axis; otherwise (a sheared affine,
    which ``Spacing`` straightens) through :func:`scipy.ndimage.affine_transform`. Both go slab by
    slab, so that little more is held than the map and its result.

    Labels from a grid coarser than the target's keep its steps: nothing between its voxels is made
    up.

    Args:
        volume: ``(X, Y, Z)``, of any number dtype; not modified.
        affine: of its grid, 4 x 4, voxel index to mm.
        target_affine: of the other grid.
        target_shape: of the other grid, three sizes.

    Returns:
        ``target_shape``, of the dtype of ``volume``, on the CPU. Voxels whose center lies more than
        one voxel of ``volume`` beyond its outermost centers are 0; nearer ones take its edge.

    Raises:
        ValueError: if ``volume`` does not have three axes.

    Example:
        Voxels of 2 mm, brought to voxels of 1 mm that run the other way:

        >>> volume = torch.tensor([10, 20]).view(2, 1, 1)
        >>> target_affine = np.diag([-1.0, 1.0, 1.0, 1.0])
        >>> target_affine[0, 3] = 2.4
        >>> resampled = resample_map(
        ...     volume,
        ...     affine=np.diag([2.0, 1.0, 1.0, 1.0]),
        ...     target_affine=target_affine,
        ...     target_shape=(4, 1, 1),
        ... )
        >>> resampled.flatten().tolist()  # at 2.4, 1.4, 0.4 and -0.6 mm
        [20, 20, 10, 10]
    """
    if volume.ndim != _SPATIAL_DIMS:
        raise InvalidValueError(
            f"Expected `volume` of shape (X, Y, Z), but got {tuple(volume.shape)}."
        )
    volume = convert_to_tensor(volume, track_meta=False).detach().cpu()
    shape = tuple(int(size) for size in target_shape)
    # From a voxel of the target to the voxel of the map there.
    to_volume = np.asarray(np.linalg.solve(affine, target_affine), dtype=np.float64)
    axes = _parallel_axes(to_volume, shape)
    if axes is None:
        return _resample_askew(volume, to_volume, shape)
    places = [
        torch.arange(size, dtype=torch.float64) * to_volume[axis, number] + to_volume[axis, 3]
        for number, (axis, size) in enumerate(zip(axes, shape, strict=True))
    ]
    return _resample_along_axes(volume.permute(axes), places)


def _parallel_axes(to_volume: NDArray[np.float64], shape: tuple[int, ...]) -> list[int] | None:
    """For each axis of the target the axis of the map beside it; ``None`` if some has none."""
    # How far each axis of the target, gone along to its end, moves along each axis of the map.
    moves = np.abs(to_volume[:3, :3]) * (np.asarray(shape) - 1)
    axes = [int(axis) for axis in np.abs(to_volume[:3, :3]).argmax(axis=0)]
    aside = moves.copy()
    aside[axes, range(_SPATIAL_DIMS)] = 0
    return axes if sorted(axes) == [0, 1, 2] and aside.sum(axis=1).max() < _ASKEW else None


def _resample_along_axes(volume: Tensor, places: list[Tensor]) -> Tensor:
    result = torch.zeros([len(place) for place in places], dtype=volume.dtype)
    inside = [
        (place >= -_MARGIN) & (place <= size - 1 + _MARGIN)
        for place, size in zip(places, volume.shape, strict=True)
    ]
    if not all(bool(within.any()) for within in inside):
        return result
    # A place runs one way along its axis, so those inside are neighbors.
    ranges = [within.nonzero().flatten()[[0, -1]].tolist() for within in inside]
    spans = [slice(first, last + 1) for first, last in ranges]
    places = [place[span] for place, span in zip(places, spans, strict=True)]
    part = result[tuple(spans)]
    gather = _lerp if volume.is_floating_point() else _pick
    step = max(1, _SLAB_VOXELS // (len(places[1]) * len(places[2])))
    for start in range(0, len(places[0]), step):
        slab = volume
        for axis, place in enumerate((places[0][start : start + step], *places[1:])):
            slab = gather(slab, axis, place)
        part[start : start + step] = slab
    return result


def _pick(volume: Tensor, axis: int, place: Tensor) -> Tensor:
    """The nearest voxel along one axis."""
    index = (place + 0.5 + _TIE).floor().long().clamp(0, volume.shape[axis] - 1)
    return volume.index_select(axis, index)


def _lerp(volume: Tensor, axis: int, place: Tensor) -> Tensor:
    """Between the two voxels around, along one axis, in float32."""
    last = volume.shape[axis] - 1
    place = place.clamp(0, last)
    lower = place.floor().long()
    upper = (lower + 1).clamp(max=last)
    along = [-1 if number == axis else 1 for number in range(volume.ndim)]
    weight = (place - lower).float().view(along)
    return torch.lerp(
        volume.index_select(axis, lower).float(), volume.index_select(axis, upper).float(), weight
    )


def _resample_askew(
    volume: Tensor, to_volume: NDArray[np.float64], shape: tuple[int, ...]
) -> Tensor:
    linear = volume.is_floating_point()
    result = torch.zeros(shape, dtype=volume.dtype)
    # One voxel more on each side is what an edge is worth; beyond it is nothing.
    wide = np.pad((volume.float() if linear else volume).numpy(), 1, mode="edge")
    step = max(1, _SLAB_VOXELS // (shape[1] * shape[2]))
    for start in range(0, shape[0], step):
        slab = result[start : start + step]
        offset = to_volume[:3, 3] + to_volume[:3, 0] * start + 1.0
        slab.copy_(
            torch.from_numpy(
                ndimage.affine_transform(
                    wide, to_volume[:3, :3], offset, tuple(slab.shape), order=int(linear)
                )
            )
        )
    return result
