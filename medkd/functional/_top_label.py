"""The predicted class of a voxel: how sure the network is of it, and whether it is right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd.functional._bins import check_probabilities

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["top_label"]


def top_label(probs: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """Confidence of the predicted class of each voxel, and whether the label is that class.

    Of several classes of one highest probability the lowest index is predicted.

    Args:
        probs: class probabilities, ``(C, voxels)``, at least one voxel.
        label: class index, int64 ``(voxels,)``.

    Returns:
        Confidence, of the dtype of ``probs``, and correctness, float32 of zeros and ones, both
        ``(voxels,)``.

    Raises:
        ValueError: if a confidence is no probability.
    """
    confidence = probs.amax(dim=0)
    check_probabilities(confidence, "highest class values")
    # `argmax` over the short axis of classes takes ten times as long as all of this on a CPU, and
    # boolean results twice as long. Each top class is marked with its distance to C, the others
    # with zero: the greatest mark is that of the lowest top index.
    marks = torch.eq(probs, confidence, out=torch.empty_like(probs, dtype=torch.float32))
    num_classes = probs.shape[0]
    distance = torch.arange(num_classes, 0, -1, dtype=torch.float32, device=probs.device)
    top_mark = marks.mul_(distance.unsqueeze(1)).amax(dim=0)
    return confidence, top_mark.add_(label.float()).eq_(num_classes)
