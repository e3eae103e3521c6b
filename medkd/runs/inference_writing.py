"""The stage that leaves a run with an ``inference.json`` of its own."""

from __future__ import annotations

import json
from pathlib import Path

from monai.bundle.config_parser import ConfigParser

from medkd.files import atomic_write
from medkd.runs.configuration import running_parser
from medkd.runs.process_group import process_rank

__all__ = ["write_inference"]

# What the network is, and what an image becomes before it sees it.
_OF_THE_NETWORK = (
    *("spatial_dims", "num_channels", "num_classes", "spacing", "patch_size"),
    *("channels", "strides", "kernel_size", "network_def", "geometry", "normalization"),
)


def write_inference(*, bundle_root: str | Path, output_dir: str | Path) -> None:
    """Write ``output_dir/inference.json``: the bundle's, as this run's network needs it.

    A run may have overridden spacing, patch size, windows, intensities or the network; whoever
    segments with it later should not have to know which.

    Args:
        bundle_root: the bundle's folder, which holds ``inference.json``.
        output_dir: the run's folder.

    Raises:
        OSError: if the file cannot be written.
    """
    if process_rank() > 0:
        return
    config = running_parser().get()
    inference = ConfigParser.load_config_file(Path(bundle_root) / "inference.json")
    inference |= {
        name: config[name] for name in _OF_THE_NETWORK if name in inference and name in config
    }
    windows = config.get("inferer")
    if "windows" in inference and isinstance(windows, dict):
        inference["windows"] |= windows  # what only inference has, such as a progress bar, stays
    inference["run_dir"] = str(output_dir)
    with atomic_write(Path(output_dir) / "inference.json", "w") as file:
        json.dump(inference, file, indent=4)
