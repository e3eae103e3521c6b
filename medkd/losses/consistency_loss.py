"""Distance of a student from the average of its weights, as a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from medkd.functional import consistency

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import MemberLogits

__all__ = ["ConsistencyLoss"]


class ConsistencyLoss(nn.Module):
    """Mean squared difference of the first peer's probabilities from the others'.

    The mathematics is that of :func:`medkd.functional.consistency`.

    Shape:
        - ``peer_logits``: ``(M, B, C, *spatial)``, the student's first, at least two peers.
        - output: scalar.

    Example:
        >>> import torch
        >>> from medkd.losses import ConsistencyLoss
        >>> ConsistencyLoss()(torch.zeros(2, 1, 3, 4)).item()
        0.0

    References:
        A. Tarvainen, H. Valpola. Mean teachers are better role models: weight-averaged consistency
        targets improve semi-supervised deep learning results. NeurIPS 2017, arXiv:1703.01780.
    """

    def forward(self, peer_logits: MemberLogits) -> Tensor:
        """Scalar loss; see the function."""
        return consistency(peer_logits)
