"""Networks that are trained together, as one module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["PeerNetworks"]


class PeerNetworks(nn.Module):
    """Networks that see the same images and learn from each other; the first is the student.

    In training mode all of them answer, in evaluation mode the student alone: what is validated and
    shipped is one network. One optimizer takes the parameters of the whole.

    Args:
        networks: one or more, of any architectures with the same classes, the student first. They
            should differ in their initial weights, for peers that start equal and drop nothing out
            stay equal.

    Shape:
        - image: ``(B, C_in, *spatial)``
        - returns in training mode: a list with the output of each network, in order; an output may
          be a list of heads
        - returns in evaluation mode: the student's output

    Raises:
        ValueError: if there is no network, or one of them comes twice.

    Example:
        >>> import torch
        >>> networks = PeerNetworks([nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 3, padding=1)])
        >>> [tuple(logits.shape) for logits in networks(torch.zeros(1, 1, 4, 3))]
        [(1, 2, 4, 3), (1, 2, 4, 3)]
        >>> tuple(networks.eval()(torch.zeros(1, 1, 4, 3)).shape)
        (1, 2, 4, 3)

    References:
        Y. Zhang, T. Xiang, T. M. Hospedales, H. Lu. Deep mutual learning. CVPR 2018,
        arXiv:1706.00384.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        if not networks:
            raise InvalidValueError(
                "Expected `networks` to hold at least one network, but got none."
            )
        if len({id(network) for network in networks}) < len(networks):
            raise InvalidValueError(
                "Expected `networks` to be different objects, but got one of them twice; in a "
                'configuration, "%" copies a definition where "@" shares it.'
            )
        self.peers = nn.ModuleList(networks)

    @property
    def networks(self) -> list[nn.Module]:
        """The networks themselves, the student first."""
        return list(self.peers)

    @property
    def num_trained(self) -> int:
        """How many of the networks, counted from the first, learn from labels: all."""
        return len(self.peers)

    def after_step(self) -> None:
        """Nothing: the optimizer has moved all networks."""

    def forward(self, image: Tensor) -> list[Tensor | Sequence[Tensor]] | Tensor | Sequence[Tensor]:
        """The output of each network in training mode, of the student in evaluation mode."""
        if self.training:
            return [network(image) for network in self.peers]
        return self.peers[0](image)
