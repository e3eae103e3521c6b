"""The predicted class of a voxel: how sure the network is of it, and whether it is right."""

from __future__ import annotations

from itertools import accumulate
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
    # Class by class: no operation is so large that torch starts its threads for it, and `argmax`
    # over the short axis of classes takes ten times as long as all of this. Results as numbers, not
    # as bool, and of one dtype are what is fast on a CPU.
    highest = list(accumulate(probs.unbind(), torch.maximum))  # up to and with each class
    confidence = highest.pop()
    check_probabilities(confidence, "highest class values")
    # The predicted class is how many classes pass before the highest probability is reached.
    off = label.float()
    below = torch.empty_like(off)
    for so_far in highest:
        off.sub_(torch.lt(so_far, confidence, out=below))
    return confidence, off.eq_(0)
