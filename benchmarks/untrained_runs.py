"""Runs that were never trained: what a network says has no bearing on what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from monai.bundle import ConfigParser

from medkd.networks import save_weights

BUNDLES = Path(__file__).resolve().parents[1] / "bundles"


def write_untrained_run(folder: Path, bundle: str, **changes: object) -> Path:
    """Write what a run leaves for inference: its configuration and weights.

    Args:
        folder: where to.
        bundle: whose network, windows and transforms it has.
        changes: ids and values that differ from the bundle's.

    Returns:
        The folder.
    """
    config = ConfigParser.load_config_file(BUNDLES / bundle / "inference.json") | changes
    torch.manual_seed(0)
    network = ConfigParser(json.loads(json.dumps(config))).get_parsed_content("network_def")
    save_weights(network, folder / "models" / "model.pt")
    (folder / "inference.json").write_text(json.dumps(config, indent=4), encoding="utf-8")
    return folder
