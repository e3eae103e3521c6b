"""What a network alone does not tell: its classes, and how an image is made ready for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from medkd import __version__
from medkd.export.network_formats.output_check import OUTPUT_TOLERANCE
from medkd.files import sha256_of

if TYPE_CHECKING:
    from medkd.runs import Deployment

__all__ = ["DESCRIPTION_NAME", "describe_network"]

DESCRIPTION_NAME = "metadata.json"
"""The name that MONAI gives to the description within a TorchScript file."""


def describe_network(run: Deployment, *, max_difference: float) -> str:
    """Describe an exported network, without any path.

    Args:
        run: the run it is of.
        max_difference: that was found when it was compared; see
            :func:`medkd.export.network_formats.check_outputs`.

    Returns:
        JSON: version of medkd, architecture, SHA-256 of the weights, input and output with names
        and classes, window, spacing and normalization as the run's configuration states them, and
        how far its logits were from PyTorch's.
    """
    content: dict[str, Any] = {
        "medkd_version": __version__,
        "network": type(run.network).__name__,
        "weights_sha256": sha256_of(run.model_file),
        "spatial_dims": run.spatial_dims,
        "num_channels": run.num_channels,
        "num_classes": run.num_classes,
        "class_names": run.class_names,
        "window_size": list(run.window_size),
        "output": "logits; softmax over classes in each window, then blended",
        **({"spacing": run.config["spacing"]} if run.prepares_by("Spacingd") else {}),
        "label_values": run.label_values,
        "preprocessing": run.config["preprocessing"],
        **({} if run.slice_axis is None else {"slice_axis": run.slice_axis}),
        "max_difference": max_difference,
        "tolerance": OUTPUT_TOLERANCE,
    }
    return json.dumps(content, indent=4)
