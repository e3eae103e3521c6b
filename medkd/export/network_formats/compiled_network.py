"""The network compiled by ``torch.compile``, once for all windows of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from medkd.errors import FailureError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CompiledNetwork"]


class CompiledNetwork:
    """``torch.compile`` of a network for batches of one size.

    The last windows of an image are fewer than the others, and for another size of batch torch
    would compile once more, for longer than the windows take; so they are filled up with zeros.

    Args:
        network: in evaluation mode, whose members of a batch do not see one another.

    Raises:
        RuntimeError: when called, if it cannot be compiled; on a CPU that takes a C++ compiler.
    """

    def __init__(self, network: nn.Module) -> None:
        self._compiled = torch.compile(network)
        self._batch_size = 0

    @torch.no_grad()
    def __call__(self, window: Tensor) -> Tensor:
        """Logits of windows.

        Args:
            window: ``(B, C_in, *window)``.

        Returns:
            ``(B, C, *window)``.
        """
        self._batch_size = max(self._batch_size, len(window))
        missing = self._batch_size - len(window)
        whole = torch.cat([window, window.new_zeros(missing, *window.shape[1:])])
        try:
            logits: Tensor = self._compiled(whole)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise FailureError(
                "Expected torch.compile to compile the network, which on a CPU takes a C++ "
                f"compiler, but got: {reason}."
            ) from error
        return logits[: len(window)]
