"""A network in another form that has to prove itself before it is believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.export.network_formats.output_check import check_outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

__all__ = ["CheckedNetwork"]


class CheckedNetwork:
    """Compares the logits of the first windows it is given with those of PyTorch.

    These are windows of the very image that is to be segmented; they cost one more pass, once.

    Args:
        network: in PyTorch, in evaluation mode.
        converted: the same in another form.
        name: of the other form, for the message.

    Raises:
        RuntimeError: when first called, if the logits differ; see :func:`check_outputs`.

    Example:
        >>> import torch
        >>> checked = CheckedNetwork(torch.exp, lambda window: window.exp(), name="other")
        >>> checked(torch.zeros(1, 1, 2, 2)).flatten().tolist()
        [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        network: Callable[[Tensor], Tensor],
        converted: Callable[[Tensor], Tensor],
        *,
        name: str,
    ) -> None:
        self._network: Callable[[Tensor], Tensor] | None = network
        self._converted = converted
        self._name = name

    def __call__(self, window: Tensor) -> Tensor:
        """Logits of windows.

        Args:
            window: ``(B, C_in, *window)``.

        Returns:
            ``(B, C, *window)``.
        """
        logits = self._converted(window)
        if self._network is not None:
            check_outputs(self._network, lambda _: logits, [window], name=self._name)
            self._network = None
        return logits
