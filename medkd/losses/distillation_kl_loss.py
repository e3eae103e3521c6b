"""Distillation by the Kullback-Leibler divergence, as a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from medkd._checks import check_positive
from medkd.functional import distillation_kl

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Logits, Mask, Probs

__all__ = ["DistillationKLLoss"]


class DistillationKLLoss(nn.Module):
    """Divergence of the student from its teacher's probabilities, softened by a temperature.

    The mathematics is that of :func:`medkd.functional.distillation_kl`.

    Args:
        temperature: above zero; the teacher's probabilities must have been softened by the same.

    Raises:
        ValueError: if ``temperature`` is not finite and above zero.
        TypeError: if ``temperature`` is not a number.

    Shape:
        - ``student_logits``: ``(B, C, *spatial)``, not divided by the temperature; one channel is
          the logit of the foreground.
        - ``teacher_probs``: ``(B, C, *spatial)``, at this temperature.
        - ``mask``: bool ``(B, 1, *spatial)`` or ``None``.
        - output: scalar, in nats.

    Example:
        >>> import torch
        >>> from medkd.losses import DistillationKLLoss
        >>> loss = DistillationKLLoss(temperature=1.0)
        >>> loss
        DistillationKLLoss(temperature=1.0)
        >>> teacher_probs = torch.tensor([1.0, 0.0]).view(1, 2, 1)
        >>> round(loss(torch.zeros(1, 2, 1), teacher_probs).item(), 4)
        0.6931

    References:
        G. Hinton, O. Vinyals, J. Dean. Distilling the knowledge in a neural network.
        arXiv:1503.02531, 2015.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        self.temperature = float(temperature)

    def forward(
        self, student_logits: Logits, teacher_probs: Probs, mask: Mask | None = None
    ) -> Tensor:
        """Scalar loss in nats; see the function."""
        return distillation_kl(
            student_logits, teacher_probs, temperature=self.temperature, mask=mask
        )

    def extra_repr(self) -> str:
        """The configuration, for printing."""
        return f"temperature={self.temperature}"
