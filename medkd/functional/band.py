"""The band of voxels round the edge of a label, where segmentations are decided."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as torch_functional

from medkd._checks import check_at_least, check_positive
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from medkd.types import Label, Mask

__all__ = ["label_band", "surface_band"]

_MAX_BYTE = 255
_ROUNDING = 1 + 1e-5


def label_band(label: Label, *, radius: int) -> Mask:
    """Voxels that have a voxel of another class at most ``radius`` steps away.

    Steps are those of a chess king (diagonals count as one), so the band reaches ``radius`` voxels
    to both sides of every edge between two classes. Background far from any edge makes every
    calibration error look good; inside the band it does not. Where the size of a voxel is known,
    :func:`surface_band` is the one to take.

    Args:
        label: class index of every voxel, ``(B, 1, *spatial)`` with one to three spatial axes and
            any number of classes. The tensor is not modified.
        radius: width of the band to either side of the edge, in voxels, 1 or more.

    Returns:
        Bool mask of shape ``(B, 1, *spatial)``. It is empty where all of the label is one class;
        the border of the image is no edge.

    Raises:
        ValueError: if ``label`` has another layout or ``radius`` is below 1.
        TypeError: if ``radius`` is not an int.

    Example:
        >>> import torch
        >>> from medkd.functional import label_band
        >>> label = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]).view(1, 1, 8)
        >>> label_band(label, radius=2).int().flatten().tolist()
        [0, 0, 1, 1, 1, 1, 0, 0]
    """
    check_at_least(radius, 1, "radius")
    _check_layout(label)
    highest = label.as_subclass(torch.Tensor).to(torch.float32)  # exact for any class index
    lowest = highest
    # A box is the product of its axes, so one axis after the other costs a sum, not a product.
    for axis in range(2, label.ndim):
        highest = _running_maximum(highest, axis, radius)
        lowest = -_running_maximum(-lowest, axis, radius)
    return highest != lowest


def surface_band(label: Label, *, radius: float, spacing: Sequence[float]) -> Mask:
    """Voxels with a voxel of another class at most ``radius`` millimeters away.

    Distances are Euclidean, from center to center, whatever the shape of the voxels: of a stack of
    thick slices the band holds more voxels along a slice than across slices. A voxel that shares a
    face with one of another class belongs to the band however large voxels are, so that no surface
    is without one.

    Args:
        label: class index of every voxel, ``(B, 1, *spatial)`` with one to three spatial axes and
            any number of classes. The tensor is not modified.
        radius: width of the band to either side of the surface, in millimeters, above zero.
        spacing: millimeters from voxel to voxel, one number for each spatial axis.

    Returns:
        Bool mask of shape ``(B, 1, *spatial)``. It is empty where all of the label is one class;
        the border of the volume is no surface.

    Raises:
        ValueError: if ``label`` has another layout, or ``radius`` or a spacing is not above zero.
        TypeError: if ``radius`` or a spacing is not a number.

    Example:
        >>> import torch
        >>> from medkd.functional import surface_band
        >>> label = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]).view(1, 1, 8)
        >>> surface_band(label, radius=3.0, spacing=[1.0]).int().flatten().tolist()
        [0, 1, 1, 1, 1, 1, 1, 0]
        >>> surface_band(label, radius=3.0, spacing=[5.0]).int().flatten().tolist()
        [0, 0, 0, 1, 1, 0, 0, 0]
    """
    check_positive(radius, "radius")
    _check_layout(label)
    if len(spacing) != label.ndim - 2:
        raise InvalidValueError(
            f"Expected `spacing` of one number for each of {label.ndim - 2} spatial axes, "
            f"but got {tuple(spacing)}."
        )
    for size in spacing:
        check_positive(size, "spacing")
    # What transforms leave of a millimeter is 1.0000001: three of them still are within three.
    radius *= _ROUNDING
    classes = _small_integers(label.as_subclass(torch.Tensor))
    band = _edges(classes)
    window = _window(band, radius, spacing)
    classes, inside = classes[window], band[window]
    for offset in _half_ball(radius, spacing, classes.shape[2:]):
        here, there = _shifted(classes.shape, offset)
        differs = classes[here] != classes[there]
        inside[here] |= differs
        inside[there] |= differs
    return band


def _check_layout(label: Label) -> None:
    if not 3 <= label.ndim <= 5 or label.shape[1] != 1:
        raise InvalidValueError(
            "Expected `label` of shape (B, 1, *spatial) with one to three spatial axes, "
            f"but got shape {tuple(label.shape)}."
        )


def _running_maximum(values: Tensor, axis: int, radius: int) -> Tensor:
    last = values.movedim(axis, -1)
    lines = last.reshape(-1, 1, last.shape[-1])
    # The padding of max pooling is minus infinity: outside the image there is no class.
    pooled = torch_functional.max_pool1d(lines, 2 * radius + 1, stride=1, padding=radius)
    return pooled.reshape(last.shape).movedim(-1, axis)


def _small_integers(label: Tensor) -> Tensor:
    """Bytes where they can hold the classes: what is compared a hundred times should be small."""
    if label.numel() == 0 or not 0 <= float(label.min()) <= float(label.max()) <= _MAX_BYTE:
        return label
    return label.to(torch.uint8)


def _edges(classes: Tensor) -> Tensor:
    """Voxels that share a face with one of another class."""
    edges = torch.zeros(classes.shape, dtype=torch.bool, device=classes.device)
    for axis in range(2, classes.ndim):
        length = classes.shape[axis] - 1
        differs = classes.narrow(axis, 0, length) != classes.narrow(axis, 1, length)
        edges.narrow(axis, 0, length).logical_or_(differs)
        edges.narrow(axis, 1, length).logical_or_(differs)
    return edges


def _window(edges: Tensor, radius: float, spacing: Sequence[float]) -> tuple[slice, ...]:
    """The box that holds the band: most of a volume is far from any surface."""
    window = [slice(None)] * 2
    for axis, size in zip(range(2, edges.ndim), spacing, strict=True):
        others = [other for other in range(edges.ndim) if other != axis]
        places = edges.sum(dim=others).nonzero().flatten().tolist()
        reach = int(radius / size)
        window.append(
            slice(max(places[0] - reach, 0), places[-1] + reach + 1) if places else slice(0)
        )
    return tuple(window)


def _half_ball(
    radius: float, spacing: Sequence[float], shape: Sequence[int]
) -> Iterator[tuple[int, ...]]:
    """Every step within the radius and the box, of two opposite ones only one."""
    reaches = [min(int(radius / s), n - 1) for s, n in zip(spacing, shape, strict=True)]
    for offset in itertools.product(*(range(-reach, reach + 1) for reach in reaches)):
        squared = sum((step * size) ** 2 for step, size in zip(offset, spacing, strict=True))
        if offset > (0,) * len(offset) and squared <= radius**2:
            yield offset


def _shifted(
    shape: Sequence[int], offset: Sequence[int]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Two windows of one shape, the second so many steps further."""
    here, there = [slice(None)] * 2, [slice(None)] * 2
    for length, step in zip(shape[2:], offset, strict=True):
        here.append(slice(max(-step, 0), min(length, length - step)))
        there.append(slice(max(step, 0), min(length, length + step)))
    return tuple(here), tuple(there)
