"""Distillation by the squared difference of probabilities, as a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from medkd._checks import check_batch, check_same_shape

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Logits, Probs

__all__ = ["DistillationMSELoss"]

_CLASS_DIM = 1


class DistillationMSELoss(nn.Module):
    r"""Squared difference of the student's probabilities from its teacher's.

    .. math:: L = \frac{1}{V} \sum_v \sum_c (\mathrm{softmax}(z)_{vc} - \bar p_{vc})^2

    summed over the classes, mean over the voxels: the Brier score against soft labels, zero where
    both agree and at most two. The softmax is taken at temperature one, as the teacher's must be.
    One channel is the logit of the foreground, and the sum is over background and foreground.

    Noothout et al. train their students on this and a tenth of the cross-entropy of the labels:
    ``bundles/kd_uniform/squared_difference.json``. Their code takes that cross-entropy of
    probabilities as if they were logits; here it is taken of logits.

    Shape:
        - ``student_logits``: ``(B, C, *spatial)``.
        - ``teacher_probs``: ``(B, C, *spatial)``, summing to one over two classes or more; they are
          constants.
        - output: scalar.

    Raises:
        ValueError: when called, if the shapes differ.
        TypeError: when called, if a tensor is not floating point.

    Example:
        >>> loss = DistillationMSELoss()
        >>> loss(torch.zeros(1, 2, 1), torch.tensor([1.0, 0.0]).view(1, 2, 1)).item()
        0.5

    References:
        J. M. H. Noothout et al. Knowledge distillation with ensembles of convolutional neural
        networks for medical image segmentation. Journal of Medical Imaging 9(5), 052407, 2022.
    """

    def forward(self, student_logits: Logits, teacher_probs: Probs) -> Tensor:
        """Scalar loss; see above."""
        check_batch(student_logits, "student_logits", fewest=1)
        check_same_shape(teacher_probs, student_logits, "teacher_probs", "student_logits")
        logits, probs = student_logits.float(), teacher_probs.detach().float()
        num_classes = logits.shape[_CLASS_DIM]
        if num_classes == 1:
            return 2 * nn.functional.mse_loss(logits.sigmoid(), probs)
        return num_classes * nn.functional.mse_loss(torch.softmax(logits, _CLASS_DIM), probs)
