"""The band of voxels round the edge of a label, where segmentations are decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as torch_functional

from medkd._checks import check_at_least

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask

__all__ = ["label_band"]


def label_band(label: Label, *, radius: int) -> Mask:
    """Voxels that have a voxel of another class at most ``radius`` steps away.

    Steps are those of a chess king (diagonals count as one), so the band reaches ``radius`` voxels
    to both sides of every edge between two classes. Background far from any edge makes every
    calibration error look good; inside the band it does not.

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
    if not 3 <= label.ndim <= 5 or label.shape[1] != 1:
        raise ValueError(
            "Expected `label` of shape (B, 1, *spatial) with one to three spatial axes, "
            f"but got shape {tuple(label.shape)}."
        )
    highest = label.as_subclass(torch.Tensor).to(torch.float32)  # exact for any class index
    lowest = highest
    # A box is the product of its axes, so one axis after the other costs a sum, not a product.
    for axis in range(2, label.ndim):
        highest = _running_maximum(highest, axis, radius)
        lowest = -_running_maximum(-lowest, axis, radius)
    return highest != lowest


def _running_maximum(values: Tensor, axis: int, radius: int) -> Tensor:
    last = values.movedim(axis, -1)
    lines = last.reshape(-1, 1, last.shape[-1])
    # The padding of max pooling is minus infinity: outside the image there is no class.
    pooled = torch_functional.max_pool1d(lines, 2 * radius + 1, stride=1, padding=radius)
    return pooled.reshape(last.shape).movedim(-1, axis)
