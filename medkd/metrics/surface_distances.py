"""How far the surface of a prediction lies from that of the label, in millimeters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from monai.metrics.utils import get_surface_distance
from scipy import ndimage

from medkd._checks import check_at_least, check_mask, check_positive, check_same_shape
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from medkd.types import Label, Mask

__all__ = ["SurfaceDistances", "surface_distances"]

_SHARE = 0.95


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances between surfaces of every foreground class, in millimeters.

    Attributes:
        hausdorff_95: 95 % Hausdorff distance, float64 ``(B, C - 1)``, 0 or more.
        average: average symmetric surface distance, float64 ``(B, C - 1)``, 0 or more.
    """

    hausdorff_95: Tensor
    average: Tensor


def surface_distances(
    pred_label: Label,
    label: Label,
    *,
    num_classes: int,
    spacing: Sequence[float],
    mask: Mask | None = None,
) -> SurfaceDistances:
    """95 % Hausdorff and average symmetric surface distance of every foreground class.

    A surface is the voxels of a class that share a face with a voxel of another or with the outside
    of the volume; distances go from center to center. The 95 % Hausdorff distance is the greater of
    the two 95th percentiles, of the distances from either surface to the other; the average is that
    of all of them together: the definitions of MONAI, whose distances these are.

    **A class that the label has and the prediction does not** counts with the diagonal of the
    volume in both, which no distance within it exceeds, as the BraTS challenges score it. MONAI
    1.6.1 has NaN there for the 95 % distance, which every mean then leaves out, so that a network
    would be rewarded for missing the organ that is hardest to find. A class that the label does not
    have is NaN, whatever the prediction.

    Both come from one pass, on the CPU, within the box round both structures: MONAI's two functions
    compute every distance twice, and warn of their own deprecated argument.

    Args:
        pred_label: predicted class index, ``(B, 1, *spatial)``. The tensor is not modified.
        label: true class index, ``(B, 1, *spatial)``.
        num_classes: ``C``, 2 or more; class 0 is background.
        spacing: millimeters from voxel to voxel, one number for each spatial axis.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it, all is
            background.

    Returns:
        Both distances by case and class.

    Raises:
        ValueError: if a shape does not fit, ``num_classes`` is below 2, or a spacing is not above
            zero.
        TypeError: if ``mask`` is not bool.

    Example:
        A segment found one voxel further along an axis of 3 mm:

        >>> import torch
        >>> from medkd.metrics import surface_distances
        >>> label = torch.tensor([0, 1, 1, 0, 0]).view(1, 1, 5, 1)
        >>> found = surface_distances(label.roll(1, 2), label, num_classes=2, spacing=(3.0, 1.0))
        >>> round(found.hausdorff_95.item(), 2), round(found.average.item(), 2)
        (2.85, 1.5)
    """
    check_at_least(num_classes, 2, "num_classes")
    check_same_shape(pred_label, label, "pred_label", "label")
    check_mask(mask, label)
    _check_spacing(spacing, label)
    found = torch.full((label.shape[0], num_classes - 1, 2), torch.nan, dtype=torch.float64)
    for case in range(label.shape[0]):
        inside = None if mask is None else _on_cpu(mask[case, 0])
        case_pred, case_label = (_on_cpu(one[case, 0]) for one in (pred_label, label))
        for index in range(1, num_classes):
            is_pred, is_label = case_pred == index, case_label == index
            if inside is not None:
                is_pred, is_label = is_pred & inside, is_label & inside
            found[case, index - 1] = _distances(is_pred, is_label, spacing)
    found = found.to(label.device)
    return SurfaceDistances(found[..., 0], found[..., 1])


def _distances(is_pred: Tensor, is_label: Tensor, spacing: Sequence[float]) -> Tensor:
    """Both distances of one structure, ``(2,)``."""
    if not is_label.any():
        return torch.full((2,), torch.nan, dtype=torch.float64)
    if not is_pred.any():
        diagonal = math.hypot(*(n * s for n, s in zip(is_label.shape, spacing, strict=True)))
        return torch.full((2,), diagonal, dtype=torch.float64)
    box = _box(is_pred | is_label)
    pred_surface, label_surface = _surface(is_pred[box]), _surface(is_label[box])
    outward = get_surface_distance(pred_surface, label_surface, spacing=list(spacing))
    inward = get_surface_distance(label_surface, pred_surface, spacing=list(spacing))
    highest = max(_percentile(outward), _percentile(inward))
    return torch.tensor([highest, torch.cat([outward, inward]).double().mean()])


def _surface(structure: Tensor) -> Tensor:
    """Its voxels with a face to the outside; beyond the border of the volume all is outside."""
    filled = structure.numpy()
    return torch.from_numpy(filled & ~ndimage.binary_erosion(filled))


def _percentile(distances: Tensor) -> float:
    """The 95th, between neighbors in proportion; torch's own refuses 16 million surface voxels."""
    ordered = distances.sort().values.double()
    place = _SHARE * (ordered.numel() - 1)
    below, above = ordered[math.floor(place)], ordered[math.ceil(place)]
    return float(below + (place - math.floor(place)) * (above - below))


def _box(structure: Tensor) -> tuple[slice, ...]:
    """The smallest box that holds a structure of at least one voxel."""
    bounds = []
    for axis in range(structure.ndim):
        others = [other for other in range(structure.ndim) if other != axis]
        places = (structure.any(dim=others) if others else structure).nonzero()
        bounds.append(slice(int(places[0]), int(places[-1]) + 1))
    return tuple(bounds)


def _on_cpu(tensor: Tensor) -> Tensor:
    return tensor.detach().as_subclass(torch.Tensor).cpu()


def _check_spacing(spacing: Sequence[float], label: Label) -> None:
    if len(spacing) != label.ndim - 2:
        raise InvalidValueError(
            f"Expected `spacing` of one number for each of {label.ndim - 2} spatial axes, "
            f"but got {tuple(spacing)}."
        )
    for size in spacing:
        check_positive(size, "spacing")
