"""From an image to its probabilities, window by window, as evaluation has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.inferers import Inferer
from monai.utils import convert_to_tensor

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from medkd.types import Probs

__all__ = ["ProbabilitiesInferer"]


class ProbabilitiesInferer(Inferer):
    """Sliding windows that leave probabilities instead of logits.

    The softmax is taken inside each window and windows are blended as probabilities, as
    :class:`~medkd.predictors.NetworkPredictor` does it, so that what is written is what was judged.

    Args:
        windows: MONAI's inferer.

    Example:
        >>> from monai.inferers import SimpleInferer
        >>> infer = ProbabilitiesInferer(SimpleInferer())
        >>> infer(torch.zeros(1, 2, 2, 1), torch.nn.Identity()).flatten().tolist()
        [0.5, 0.5, 0.5, 0.5]
    """

    def __init__(self, windows: Inferer) -> None:
        super().__init__()
        self.windows = windows

    @torch.no_grad()
    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Tensor],
        *args: Any,  # noqa: ANN401 - the network's own
        **kwargs: Any,  # noqa: ANN401
    ) -> Probs:
        """Predict one batch.

        Args:
            inputs: ``(B, C_in, *spatial)``; not modified.
            network: from windows ``(B, C_in, *window)`` to logits ``(B, C, *window)``, in
                evaluation mode.
            args: handed to the network.
            kwargs: handed to the network.

        Returns:
            Probabilities ``(B, C, *spatial)``, a plain float32 tensor.
        """

        def probs_of(window: Tensor) -> Probs:
            return network(window, *args, **kwargs).float().softmax(dim=1)

        plain = convert_to_tensor(inputs, track_meta=False).float()
        probs: Probs = self.windows(plain, probs_of)
        return probs
