"""Dice of networks with each other, as a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from medkd._checks import check_positive
from medkd.functional import mutual_dice

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import MemberLogits

__all__ = ["MutualDiceLoss"]


class MutualDiceLoss(nn.Module):
    """Dice loss of the peers' probabilities with each other, softened by a temperature.

    The mathematics is that of :func:`medkd.functional.mutual_dice`.

    Args:
        temperature: above zero; 2 in the paper.
        include_background: whether class 0 counts.

    Raises:
        ValueError: if ``temperature`` is not finite and above zero.
        TypeError: if ``temperature`` is not a number.

    Shape:
        - ``peer_logits``: ``(M, B, C, *spatial)``, not divided by the temperature, at least two
          peers.
        - output: scalar.

    Example:
        >>> import torch
        >>> from medkd.losses import MutualDiceLoss
        >>> loss = MutualDiceLoss(temperature=2.0)
        >>> loss
        MutualDiceLoss(temperature=2.0, include_background=False)
        >>> loss(torch.zeros(2, 1, 3, 4)).item()
        0.0

    References:
        Y. Xie, Y. Yin, Q. Li, Y. Wang. Deep mutual distillation for semi-supervised medical image
        segmentation. MICCAI 2023, LNCS 14222, 540-550.
    """

    def __init__(self, temperature: float, include_background: bool = False) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        self.temperature = float(temperature)
        self.include_background = include_background

    def forward(self, peer_logits: MemberLogits) -> Tensor:
        """Scalar loss; see the function."""
        return mutual_dice(
            peer_logits,
            temperature=self.temperature,
            include_background=self.include_background,
        )

    def extra_repr(self) -> str:
        """The configuration, for printing."""
        return f"temperature={self.temperature}, include_background={self.include_background}"
