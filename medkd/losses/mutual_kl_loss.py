"""Kullback-Leibler divergence of networks from each other, as a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from medkd._checks import check_positive
from medkd.functional import mutual_kl

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import MemberLogits

__all__ = ["MutualKLLoss"]


class MutualKLLoss(nn.Module):
    """Divergence of each peer from the others' probabilities, softened by a temperature.

    The mathematics is that of :func:`medkd.functional.mutual_kl`.

    Args:
        temperature: above zero; 1 in the paper.

    Raises:
        ValueError: if ``temperature`` is not finite and above zero.
        TypeError: if ``temperature`` is not a number.

    Shape:
        - ``peer_logits``: ``(M, B, C, *spatial)``, not divided by the temperature, at least two
          peers.
        - output: scalar, in nats.

    Example:
        >>> import torch
        >>> from medkd.losses import MutualKLLoss
        >>> loss = MutualKLLoss()
        >>> loss
        MutualKLLoss(temperature=1.0)
        >>> loss(torch.zeros(2, 1, 3, 4)).item()
        0.0

    References:
        Y. Zhang, T. Xiang, T. M. Hospedales, H. Lu. Deep mutual learning. CVPR 2018,
        arXiv:1706.00384.
    """

    def __init__(self, temperature: float = 1.0) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        self.temperature = float(temperature)

    def forward(self, peer_logits: MemberLogits) -> Tensor:
        """Scalar loss in nats; see the function."""
        return mutual_kl(peer_logits, temperature=self.temperature)

    def extra_repr(self) -> str:
        """The configuration, for printing."""
        return f"temperature={self.temperature}"
