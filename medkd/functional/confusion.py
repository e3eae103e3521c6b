"""Voxels counted by label and prediction, and the correlation of the two."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from medkd._checks import check_at_least, check_mask, check_same_shape
from medkd.errors import InvalidTypeError, InvalidValueError
from medkd.functional._voxels import label_pairs_in_chunks

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Label, Mask

__all__ = ["confusion_counts", "matthews_correlation"]


def confusion_counts(
    pred_label: Label, label: Label, *, num_classes: int, mask: Mask | None = None
) -> Tensor:
    """Voxels of each case counted by the class of their label and of their prediction.

    Args:
        pred_label: predicted class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)``. The
            tensor is not modified.
        label: true class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)``.
        num_classes: ``C``, 2 or more.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all.

    Returns:
        int64 ``(B, C, C)``: row is the label, column the prediction. All zero for a case without a
        valid voxel.

    Raises:
        ValueError: if a shape does not fit or a valid voxel is no class index.
        TypeError: if ``mask`` is not bool.

    Example:
        >>> import torch
        >>> from medkd.functional import confusion_counts
        >>> label, pred_label = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 1, 1, 1]]])
        >>> confusion_counts(pred_label, label, num_classes=2).tolist()
        [[[1, 1], [0, 2]]]
    """
    check_at_least(num_classes, 2, "num_classes")
    check_same_shape(pred_label, label, "pred_label", "label")
    check_mask(mask, label)
    counts = torch.zeros(label.shape[0], num_classes**2, dtype=torch.int64)
    for case, chunks in enumerate(label_pairs_in_chunks(pred_label, label, num_classes, mask)):
        for chunk_pred, chunk_label in chunks:
            index = chunk_label * num_classes + chunk_pred
            counts[case] += torch.bincount(index, minlength=num_classes**2).cpu()
    return counts.view(-1, num_classes, num_classes).to(label.device)


def matthews_correlation(counts: Tensor) -> Tensor:
    r"""Matthews correlation coefficient of every class against all others.

    .. math::
        \mathrm{MCC} = \frac{TP \cdot TN - FP \cdot FN}
            {\sqrt{(TP + FP)(TP + FN)(TN + FP)(TN + FN)}}

    MONAI 1.6.1 counts in float32 and takes the false positives as a difference of two large
    numbers; above 16,777,216 voxels a handful of them vanishes or is doubled, and with it the
    coefficient of a small structure. Here the counts are integers and their products exact.

    Args:
        counts: int64 ``(B, C, C)`` from :func:`confusion_counts`.

    Returns:
        float64 ``(B, C)`` in ``[-1, 1]``. NaN where the label has no voxel of the class or no other
        voxel: there is nothing to correlate with. Zero, the coefficient of a guess, where the label
        has both but the prediction is all one: a network that finds nothing must not be left out of
        a mean.

    Raises:
        ValueError: if ``counts`` has another shape.
        TypeError: if ``counts`` is not int64.

    Example:
        Three of four right:

        >>> import torch
        >>> from medkd.functional import matthews_correlation
        >>> counts = torch.tensor([[[1, 1], [0, 2]]])
        >>> [round(v, 4) for v in matthews_correlation(counts)[0].tolist()]  # 1 / sqrt(3)
        [0.5774, 0.5774]

    References:
        B. W. Matthews. Comparison of the predicted and observed secondary structure of T4 phage
        lysozyme. Biochimica et Biophysica Acta 405(2), 442-451, 1975.
        D. Chicco, G. Jurman. The advantages of the Matthews correlation coefficient (MCC) over F1
        score and accuracy in binary classification evaluation. BMC Genomics 21:6, 2020 (zero as the
        limit of a constant prediction).
    """
    if counts.dtype != torch.int64:
        raise InvalidTypeError(f"Expected `counts` of dtype torch.int64, but got {counts.dtype}.")
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2]:
        raise InvalidValueError(
            f"Expected `counts` of shape (B, C, C), but got shape {tuple(counts.shape)}."
        )
    scores = [
        [_binary_correlation(case, index) for index in range(len(case))] for case in counts.tolist()
    ]
    return torch.tensor(scores, dtype=torch.float64, device=counts.device)


def _binary_correlation(counts: list[list[int]], index: int) -> float:
    """Coefficient of one class against all others, in Python's integers: no product overflows."""
    total = sum(map(sum, counts))
    hits = counts[index][index]
    in_label = sum(counts[index])
    in_prediction = sum(row[index] for row in counts)
    if in_label in {0, total}:
        return math.nan
    if in_prediction in {0, total}:
        return 0.0
    # The numerator is TP TN - FP FN, expanded.
    numerator = hits * total - in_label * in_prediction
    label_spread = in_label * (total - in_label)
    prediction_spread = in_prediction * (total - in_prediction)
    return numerator / math.sqrt(label_spread * prediction_spread)
