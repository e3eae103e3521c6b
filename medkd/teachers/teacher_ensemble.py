"""The ensemble as one teacher that cannot be woken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from medkd._checks import check_positive
from medkd.errors import InvalidValueError
from medkd.functional import ensemble_probs

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TeacherEnsemble"]


class TeacherEnsemble(nn.Module):
    """Trained networks that teach together: their mean probabilities at a temperature.

    The members are frozen for good: parameters require no gradient, :meth:`forward` computes under
    ``no_grad``, and :meth:`train` leaves the members in evaluation mode, so that a parent's
    ``.train()`` moves no batch-norm statistics. Probabilities are averaged, not logits.

    Args:
        members: one trained network each; they need not share an architecture. A network with deep
            supervision gives its full-resolution logits in evaluation mode.
        temperature: what logits are divided by before the softmax, above zero.

    Shape:
        - image: ``(B, C_in, *spatial)``
        - returns: ``(B, C, *spatial)`` in ``[0, 1]``, one at each voxel when summed over ``C``

    Raises:
        ValueError: if there is no member, or ``temperature`` is not finite and above zero.
        TypeError: if ``temperature`` is not a number.

    Example:
        >>> members = [nn.Conv2d(1, 2, 1) for _ in range(3)]
        >>> teacher = TeacherEnsemble(members, temperature=2.0).train()
        >>> teacher.training, tuple(teacher(torch.zeros(1, 1, 4, 3)).shape)
        (False, (1, 2, 4, 3))

    References:
        B. Lakshminarayanan, A. Pritzel, C. Blundell. Simple and scalable predictive uncertainty
        estimation using deep ensembles. NeurIPS 2017, arXiv:1612.01474.
    """

    def __init__(self, members: Sequence[nn.Module], *, temperature: float = 1.0) -> None:
        super().__init__()
        if not members:
            raise InvalidValueError(
                "Expected `members` to hold at least one network, but got none."
            )
        check_positive(temperature, "temperature")
        self.members = nn.ModuleList(members)
        self.temperature = float(temperature)
        self.requires_grad_(requires_grad=False)
        self.train()

    def train(self, mode: bool = True) -> TeacherEnsemble:  # noqa: ARG002 - a teacher cannot be woken
        """Stay in evaluation mode, whatever ``mode`` says."""
        return super().train(mode=False)

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Mean over the members of ``softmax(logits / temperature)``."""
        member_logits = torch.stack([member(image) for member in self.members])
        return ensemble_probs(member_logits, temperature=self.temperature)

    def extra_repr(self) -> str:
        """Show what was configured."""
        return f"temperature={self.temperature}"
