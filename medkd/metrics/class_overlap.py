"""Dice, Jaccard index and volume error of every class, from voxels that were counted once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["dice_by_class", "jaccard_by_class", "volume_error_by_class"]


def dice_by_class(counts: Tensor) -> Tensor:
    r"""Dice score of every class, from counts.

    The score that MONAI's ``compute_dice`` gives, of all classes in one pass over the voxels
    instead of one pass for each.

    Args:
        counts: int64 ``(B, C, C)`` from :func:`medkd.functional.confusion_counts`.

    Returns:
        float64 ``(B, C)`` in ``[0, 1]``; NaN where the label has no voxel of the class.

    Raises:
        ValueError: if ``counts`` has another shape.
        TypeError: if ``counts`` is not int64.

    Example:
        >>> import torch
        >>> from medkd.metrics import dice_by_class
        >>> dice_by_class(torch.tensor([[[1, 1], [0, 3]]]))[0, 1].item()  # 2 * 3 / (3 + 4)
        0.8571428571428571
    """
    in_label, in_prediction, hits = _marginals(counts)
    return 2 * hits / (in_label + in_prediction) / _present(in_label)


def jaccard_by_class(counts: Tensor) -> Tensor:
    r"""Jaccard index (intersection over union) of every class, from counts.

    The score that MONAI's ``compute_iou`` gives. It follows from the Dice score of the same case,
    :math:`J = D / (2 - D)`; its mean over cases does not follow from theirs.

    Args:
        counts: int64 ``(B, C, C)`` from :func:`medkd.functional.confusion_counts`.

    Returns:
        float64 ``(B, C)`` in ``[0, 1]``; NaN where the label has no voxel of the class.

    Raises:
        ValueError: if ``counts`` has another shape.
        TypeError: if ``counts`` is not int64.

    Example:
        >>> import torch
        >>> from medkd.metrics import jaccard_by_class
        >>> jaccard_by_class(torch.tensor([[[1, 1], [0, 3]]]))[0, 1].item()  # 3 / (3 + 4 - 3)
        0.75
    """
    in_label, in_prediction, hits = _marginals(counts)
    return hits / (in_label + in_prediction - hits) / _present(in_label)


def volume_error_by_class(counts: Tensor) -> Tensor:
    r"""How far the predicted volume of every class is from that of the label, relative to it.

    .. math::
        \frac{|V_\mathrm{pred} - V_\mathrm{label}|}{V_\mathrm{label}}

    It tells nothing of where the volume lies: two organs side by side have the same.

    Args:
        counts: int64 ``(B, C, C)`` from :func:`medkd.functional.confusion_counts`.

    Returns:
        float64 ``(B, C)``, 0 or more, 1 where nothing was found; NaN where the label has no voxel
        of the class.

    Raises:
        ValueError: if ``counts`` has another shape.
        TypeError: if ``counts`` is not int64.

    Example:
        Four voxels found where there are five:

        >>> import torch
        >>> from medkd.metrics import volume_error_by_class
        >>> volume_error_by_class(torch.tensor([[[5, 0], [1, 4]]]))[0, 1].item()
        0.2
    """
    in_label, in_prediction, _ = _marginals(counts)
    return (in_prediction - in_label).abs() / in_label / _present(in_label)


def _marginals(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Voxels of each class in the label, in the prediction, and in both."""
    if counts.dtype != torch.int64:
        raise InvalidTypeError(f"Expected `counts` of dtype torch.int64, but got {counts.dtype}.")
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2]:
        raise InvalidValueError(
            f"Expected `counts` of shape (B, C, C), but got shape {tuple(counts.shape)}."
        )
    hits = counts.diagonal(dim1=1, dim2=2)
    # Whole numbers below 2^53 are exact in float64.
    return counts.sum(dim=2).double(), counts.sum(dim=1).double(), hits.double()


def _present(in_label: Tensor) -> Tensor:
    """1 for a class that the label has, NaN for one that it has not."""
    return torch.where(in_label > 0, 1.0, torch.nan)
