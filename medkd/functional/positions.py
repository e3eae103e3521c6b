"""Positions of a feature map: drawn by class, looked up on any grid."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import interpolate

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from medkd.types import Label

__all__ = ["features_at", "sample_positions"]


def sample_positions(
    label: Label, *, grid: Sequence[int], num_positions: int
) -> tuple[Tensor, Tensor]:
    """Draw positions of a feature map so that every class has about the same number.

    The label is brought to the features' grid by the nearest voxel. Each of the :math:`k` classes
    that are there then gets ``num_positions // k`` positions, drawn at random without repetition
    from the whole batch; a class that has fewer gives all it has, and what is left over is not
    dealt to the others. So the number is bounded whatever the size of batch and grid.

    Args:
        label: class indices, ``(B, 1, *spatial)``, whole numbers, floating point or not.
        grid: the spatial size of the feature map.
        num_positions: the most positions to draw, at least 1.

    Returns:
        Indices ``(N,)`` into the positions of the batch, ``B`` times the grid in row-major order,
        at most ``num_positions``, on the label's device; and the class of each, ``(N,)``. Drawn by
        torch's global generator of that device.

    Raises:
        ValueError: if ``label`` is not ``(B, 1, *spatial)`` with as many spatial axes as ``grid``,
            or there are more classes than positions.

    Example:
        One voxel of four is foreground, and it is drawn although two are wanted of each class:

        >>> import torch
        >>> from medkd.functional import sample_positions
        >>> label = torch.tensor([0, 0, 0, 1]).view(1, 1, 4)
        >>> index, classes = sample_positions(label, grid=(4,), num_positions=4)
        >>> classes.tolist(), index[-1].item()
        ([0, 0, 1], 3)
    """
    check_at_least(num_positions, 1, "num_positions")
    if label.dim() != 2 + len(grid) or label.shape[1] != 1:
        raise InvalidValueError(
            f"Expected `label` of shape (B, 1, *spatial) with {len(grid)} spatial axes, but got "
            f"shape {tuple(label.shape)}."
        )
    coarse = interpolate(label.float(), size=tuple(grid), mode="nearest-exact")
    classes = coarse.flatten().long()
    present = classes.unique()
    quota = num_positions // len(present)
    if quota == 0:
        raise InvalidValueError(
            f"Expected `num_positions` to be at least the number of classes, {len(present)}, but "
            f"got {num_positions}."
        )
    drawn = []
    for each in present:
        of_class = torch.nonzero(classes == each).flatten()
        order = torch.randperm(len(of_class), device=of_class.device)[:quota]
        drawn.append(of_class[order])
    index = torch.cat(drawn)
    return index, classes[index]


def features_at(features: Tensor, index: Tensor, *, grid: Sequence[int]) -> Tensor:
    """Look features up at positions of a grid that may not be their own.

    A position of the grid takes the feature that lies nearest to it: of a finer map one in the
    middle of its cell, of a coarser map the one that several positions share. Only the features
    that are asked for are copied.

    Args:
        features: feature map, ``(B, C, *spatial)``.
        index: positions ``(N,)`` of :func:`sample_positions`.
        grid: the grid that they count on.

    Returns:
        One feature a row, ``(N, C)``; gradients flow back to the map.

    Raises:
        ValueError: if ``features`` has another number of spatial axes than the grid.

    Example:
        >>> import torch
        >>> from medkd.functional import features_at
        >>> features = torch.arange(4.0).view(1, 1, 4)
        >>> features_at(features, torch.tensor([0, 1]), grid=(2,)).flatten().tolist()
        [1.0, 3.0]
    """
    if features.dim() != 2 + len(grid):
        raise InvalidValueError(
            f"Expected `features` of shape (B, C, *spatial) with {len(grid)} spatial axes, but got "
            f"shape {tuple(features.shape)}."
        )
    places: list[Tensor] = []
    rest = index
    for size, own in zip(reversed(grid), reversed(features.shape[2:]), strict=True):
        along = rest % size
        # The voxel that holds the center of the position's cell.
        places.append((2 * along + 1) * own // (2 * size))
        rest = rest // size
    return features.movedim(1, -1)[(rest, *reversed(places))]
