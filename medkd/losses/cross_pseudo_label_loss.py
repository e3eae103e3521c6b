"""Cross-entropy of networks with each other's choices, as a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from medkd.functional import cross_pseudo_label

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import MemberLogits

__all__ = ["CrossPseudoLabelLoss"]


class CrossPseudoLabelLoss(nn.Module):
    """Cross-entropy of each peer with the classes that the others choose.

    The mathematics is that of :func:`medkd.functional.cross_pseudo_label`.

    Shape:
        - ``peer_logits``: ``(M, B, C, *spatial)``, at least two peers.
        - output: scalar, in nats.

    Example:
        Two peers that leave four classes open are each ``log(4)`` from the other's choice:

        >>> import torch
        >>> from medkd.losses import CrossPseudoLabelLoss
        >>> round(CrossPseudoLabelLoss()(torch.zeros(2, 1, 4, 3)).item(), 4)
        2.7726

    References:
        X. Chen, Y. Yuan, G. Zeng, J. Wang. Semi-supervised semantic segmentation with cross pseudo
        supervision. CVPR 2021, arXiv:2106.01226.
    """

    def forward(self, peer_logits: MemberLogits) -> Tensor:
        """Scalar loss in nats; see the function."""
        return cross_pseudo_label(peer_logits)
