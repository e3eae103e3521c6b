"""A PyTorch network as TorchScript, of any batch and window."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["convert_to_torchscript"]


@torch.no_grad()
def convert_to_torchscript(
    network: nn.Module, window: Tensor, *, for_inference: bool = False
) -> torch.jit.ScriptModule:
    """Convert a network from its code, branches included, or by tracing where that is not possible.

    Args:
        network: in evaluation mode.
        window: ``(1, C_in, *window)`` on its device, which is traced where the code cannot be
            converted; its values do not matter.
        for_inference: fuse layers and fix weights, so that it is faster, but stays on its device.

    Returns:
        The module. Its weights are those of ``network``, not copies, unless they are fixed.

    Example:
        >>> network = torch.nn.Conv2d(1, 2, kernel_size=1).eval()
        >>> script = convert_to_torchscript(network, torch.zeros(1, 1, 4, 4))
        >>> tuple(script(torch.zeros(3, 1, 6, 5)).shape)
        (3, 2, 6, 5)
    """
    with warnings.catch_warnings():
        # Of TorchScript's deprecation, and of branches that a trace does not take; what comes of
        # that is found by comparing outputs.
        warnings.simplefilter("ignore")
        script: torch.jit.ScriptModule
        try:
            script = torch.jit.script(network)
        except Exception:  # whatever of Python it does not know, it has a class of its own for
            script = torch.jit.trace(network, window)
        if for_inference:
            script = torch.jit.optimize_for_inference(script)
    return script
