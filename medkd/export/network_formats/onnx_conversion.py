"""A PyTorch network as an ONNX model, of any batch and window."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["ONNX_INPUT", "ONNX_OUTPUT", "convert_to_onnx"]

ONNX_INPUT = "image"
ONNX_OUTPUT = "logits"
_OPSET = 17  # every runtime since 2022 knows it, and no layer of ours needs a later one


@torch.no_grad()
def convert_to_onnx(network: nn.Module, window: Tensor) -> bytes:
    """Convert a network by following one window through it.

    Input ``image`` is ``(B, C_in, *window)`` and output ``logits`` ``(B, C, *window)``, float32, of
    any batch and of any window whose sides the network halves as evenly as those of ``window``;
    others are refused when run.

    Torch's exporter that traces is used, not the one on ``torch.export``: it gives the same logits
    in seconds where the other takes a minute.

    Args:
        network: in evaluation mode, on the CPU.
        window: ``(1, C_in, *window)``; its values do not matter.

    Returns:
        The model.

    Example:
        >>> network = torch.nn.Conv2d(1, 2, kernel_size=1).eval()
        >>> model = convert_to_onnx(network, torch.zeros(1, 1, 4, 4))
        >>> b"logits" in model
        True
    """
    names = {0: "batch", **{axis: f"side_{axis - 1}" for axis in range(2, window.ndim)}}
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Of its own deprecation, and of branches that a trace does not take; what comes of either
        # is found by comparing outputs.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (window,),
            file,  # type: ignore[arg-type] # which this exporter still writes to
            input_names=[ONNX_INPUT],
            output_names=[ONNX_OUTPUT],
            dynamic_axes={ONNX_INPUT: names, ONNX_OUTPUT: names},
            opset_version=_OPSET,
            dynamo=False,
        )
    return file.getvalue()
