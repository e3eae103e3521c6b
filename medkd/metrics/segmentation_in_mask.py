"""Dice and Matthews correlation of the voxels that count."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from monai.metrics import compute_dice

from medkd._checks import check_at_least, check_mask, check_same_shape
from medkd.functional import confusion_counts, matthews_correlation

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask

__all__ = ["dice_in_mask", "matthews_correlation_in_mask"]


def dice_in_mask(
    pred_label: Label, label: Label, *, num_classes: int, mask: Mask | None = None
) -> Tensor:
    """Dice score of each case inside a mask, by MONAI, as the mean over its foreground classes.

    A class that the label of a case does not have inside the mask is left out of the mean, as
    MONAI's ``ignore_empty`` has it: so also where the prediction wrongly shows it. Dice cannot rank
    that error; the Brier score and the negative log-likelihood count it.

    Args:
        pred_label: predicted class index, ``(B, 1, *spatial)``. The tensor is not modified.
        label: true class index, ``(B, 1, *spatial)``.
        num_classes: ``C``, 2 or more; class 0 is background.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all.

    Returns:
        float32 ``(B,)`` in ``[0, 1]``; NaN for a case without a foreground voxel in the mask.

    Raises:
        ValueError: if a shape does not fit or ``num_classes`` is below 2.
        TypeError: if ``mask`` is not bool.

    Example:
        Two voxels of vessel, one of them found, and nothing else:

        >>> import torch
        >>> from medkd.metrics import dice_in_mask
        >>> label, pred_label = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 0, 0, 1]]])
        >>> round(dice_in_mask(pred_label, label, num_classes=2).item(), 4)
        0.6667
    """
    check_at_least(num_classes, 2, "num_classes")
    check_same_shape(pred_label, label, "pred_label", "label")
    check_mask(mask, label)
    scores = []
    for case in range(label.shape[0]):
        inside = ... if mask is None else _plain(mask[case])
        # (1, 1, voxels): to MONAI a case with one spatial axis
        case_pred, case_label = (
            _plain(tensor[case])[inside].reshape(1, 1, -1) for tensor in (pred_label, label)
        )
        per_class = compute_dice(
            case_pred, case_label, include_background=False, num_classes=num_classes
        )
        scores.append(per_class.nanmean())
    return torch.stack(scores)


def matthews_correlation_in_mask(
    pred_label: Label, label: Label, *, num_classes: int, mask: Mask | None = None
) -> Tensor:
    """Matthews correlation of each case inside a mask, as the mean over its foreground classes.

    Each class is taken against all others; with two classes this is the usual coefficient. It is
    not computed by MONAI 1.6.1, whose counts are wrong on large volumes: see
    :func:`medkd.functional.matthews_correlation`.

    Args:
        pred_label: predicted class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)``. The
            tensor is not modified.
        label: true class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)``.
        num_classes: ``C``, 2 or more; class 0 is background.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all.

    Returns:
        float64 ``(B,)`` in ``[-1, 1]``. A class of which the label has no voxel, or nothing else,
        is left out of the mean; NaN if that is every class. A class that the label has and the
        prediction never shows counts as zero.

    Raises:
        ValueError: if a shape does not fit or a valid voxel is no class index.
        TypeError: if ``mask`` is not bool.

    Example:
        >>> import torch
        >>> from medkd.metrics import matthews_correlation_in_mask
        >>> label, pred_label = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 0, 0, 1]]])
        >>> round(matthews_correlation_in_mask(pred_label, label, num_classes=2).item(), 4)
        0.5774
    """
    counts = confusion_counts(pred_label, label, num_classes=num_classes, mask=mask)
    return matthews_correlation(counts)[:, 1:].nanmean(dim=1)


def _plain(tensor: Tensor) -> Tensor:
    # MONAI's own functions are many times slower on its MetaTensor.
    return tensor.detach().as_subclass(torch.Tensor)
