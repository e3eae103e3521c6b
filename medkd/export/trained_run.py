"""A finished run as the exporter sees it: its student, its data set, its scores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser

from medkd.data import read_manifest
from medkd.networks import check_state, load_state

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medkd.data import Manifest

__all__ = ["TrainedRun", "read_run"]

_CONFIG = "config.json"
_INFERENCE = "inference.json"
_MODEL = "models/model.pt"
_METRICS = "report/metrics.json"


@dataclass(frozen=True)
class TrainedRun:
    """What a run left in its folder.

    Args:
        run_dir: the folder.
        config: the configuration that was trained with, overrides merged.
        inference: the run's own ``inference.json``.
        network: the student in evaluation mode, with its weights, on the CPU.
        weights: its state dict.
        manifest: of the data set that it was trained on.
        metrics: what ``report/metrics.json`` says; empty if the run was not evaluated.
    """

    run_dir: Path
    config: dict[str, Any]
    inference: dict[str, Any]
    network: nn.Module
    weights: dict[str, Tensor]
    manifest: Manifest
    metrics: dict[str, Any]

    @property
    def spatial_dims(self) -> int:
        """2 for pictures, 3 for volumes."""
        return len(self.inference["patch_size"])

    @property
    def student_scores(self) -> dict[str, Any]:
        """The student's scores by name, each with mean and confidence interval; or empty."""
        return dict(self.metrics.get("methods", {}).get("student", {}))


def read_run(run_dir: str | Path, *, manifest: str | Path | None = None) -> TrainedRun:
    """Read a finished run, and prove that its weights are those of its network.

    Args:
        run_dir: the run's folder, with ``config.json``, ``inference.json`` and ``models/model.pt``.
            Its JSON is code to MONAI: read only what you trained or trust.
        manifest: of the data set; by default the one that ``config.json`` names, relative to the
            working directory.

    Returns:
        The run.

    Raises:
        FileNotFoundError: if a file of the run, or the manifest, is missing.
        ValueError: if the weights do not fit the network, or the manifest has other classes.
    """
    folder = Path(run_dir).expanduser()
    for name in (_CONFIG, _INFERENCE, _MODEL):
        if not (folder / name).is_file():
            raise FileNotFoundError(
                f"Expected {folder} to be the folder of a finished run, but it has no {name}."
            )
    config = dict(ConfigParser.load_config_file(folder / _CONFIG))
    inference = dict(ConfigParser.load_config_file(folder / _INFERENCE))
    network: nn.Module = ConfigParser(dict(inference)).get_parsed_content("network_def")
    weights = load_state(folder / _MODEL)
    check_state(network, weights, folder / _MODEL)
    network.load_state_dict(weights)
    found = _find_manifest(config, folder, manifest)
    if found.num_classes != inference["num_classes"]:
        raise ValueError(
            f"Expected the manifest of {folder} to have the network's {inference['num_classes']} "
            f"classes, but {found.name} has {found.num_classes}."
        )
    metrics = folder / _METRICS
    return TrainedRun(
        run_dir=folder,
        config=config,
        inference=inference,
        network=network.eval(),
        weights=weights,
        manifest=found,
        metrics=json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {},
    )


def _find_manifest(config: dict[str, Any], folder: Path, manifest: str | Path | None) -> Manifest:
    if manifest is None:
        manifest = ConfigParser(dict(config)).get_parsed_content("manifest")
        if not Path(str(manifest)).is_file():
            raise FileNotFoundError(
                f"Expected the manifest {manifest} of the run {folder}, but there is no such file "
                "here: run from the folder where it was trained, or say --manifest."
            )
    return read_manifest(Path(manifest).expanduser())
