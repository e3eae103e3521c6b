"""From an image to the probabilities of one network or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monai.inferers import Inferer
    from torch import nn

__all__ = ["NetworkPredictor"]


class NetworkPredictor:
    """Probabilities of every member, over images of any size.

    A single network is an ensemble of one, so single networks, ensembles and students are asked in
    the same way. The softmax is taken inside each window and windows are blended as
    probabilities, so the result sums to one wherever windows overlap.

    Args:
        members: the networks; put into evaluation mode.
        inferer: MONAI's, e.g. ``SlidingWindowInferer``.
        amp: compute under autocast on the image's device.

    Raises:
        ValueError: if there is no member.

    Example:
        >>> from monai.inferers import SimpleInferer
        >>> from torch import nn
        >>> predictor = NetworkPredictor([nn.Conv2d(1, 2, 1)] * 3, SimpleInferer())
        >>> tuple(predictor(torch.zeros(1, 1, 4, 5)).shape)  # (M, B, C, *spatial)
        (3, 1, 2, 4, 5)
    """

    def __init__(
        self, members: Sequence[nn.Module], inferer: Inferer, *, amp: bool = False
    ) -> None:
        if not members:
            raise ValueError("Expected `members` to hold at least one network, but got none.")
        self.members = [member.eval() for member in members]
        self.inferer = inferer
        self.amp = amp

    @property
    def num_parameters(self) -> int:
        """Parameters of all members together."""
        return sum(p.numel() for member in self.members for p in member.parameters())

    def __call__(self, image: torch.Tensor) -> torch.Tensor:
        """Predict one batch.

        Args:
            image: ``(B, C_in, *spatial)``, on the device of the members.

        Returns:
            Probabilities ``(M, B, C, *spatial)`` in float32.
        """
        return torch.stack([self.predict_member(m, image) for m in range(len(self.members))])

    @torch.no_grad()
    def predict_member(self, member: int, image: torch.Tensor) -> torch.Tensor:
        """Predict one batch with one member.

        Args:
            member: its number, from zero.
            image: ``(B, C_in, *spatial)``, on the device of the members.

        Returns:
            Probabilities ``(B, C, *spatial)`` in float32.
        """
        network = self.members[member]

        def probs_of(window: torch.Tensor) -> torch.Tensor:
            with torch.autocast(window.device.type, enabled=self.amp):
                logits = network(window)
            return logits.float().softmax(dim=1)

        return self.inferer(image, probs_of)
