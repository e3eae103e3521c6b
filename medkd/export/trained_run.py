"""A finished run as the exporter sees it: its student, its data set, its scores."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser

from medkd.data import read_manifest
from medkd.errors import InvalidValueError, MissingFileError
from medkd.runs import find_manifest, open_deployment
from medkd.runs.training_time import AS_SHIPPED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medkd.data import Manifest
    from medkd.runs import Deployment

__all__ = ["TrainedRun", "read_run"]

_CONFIG = "config.json"
_NEEDED = (_CONFIG, "inference.json", "models/model.pt")
_METRICS = "report/metrics.json"


@dataclass(frozen=True)
class TrainedRun:
    """What a run left in its folder.

    Args:
        opened: the run, ready to segment on the CPU.
        config: the configuration that was trained with, overrides merged.
        manifest: of the data set that it was trained on.
        metrics: what ``report/metrics.json`` says; empty if the run was not evaluated.
    """

    opened: Deployment
    config: dict[str, Any]
    manifest: Manifest
    metrics: dict[str, Any]

    @property
    def inference(self) -> Mapping[str, Any]:
        """The run's own ``inference.json``."""
        return self.opened.config

    @property
    def student_scores(self) -> dict[str, Any]:
        """Scores by name of what ships, each with mean and confidence interval; or empty.

        A student that was judged without the temperature that it ships with is another one.
        """
        methods = self.metrics.get("methods", {})
        is_as_trained = not self.opened.record.get("is_calibrated", False)
        return dict(
            methods.get(AS_SHIPPED) or (methods.get("student", {}) if is_as_trained else {})
        )


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
    for name in _NEEDED:
        if not (folder / name).is_file():
            raise MissingFileError(
                f"Expected {folder} to be the folder of a finished run, but it has no {name}."
            )
    config = dict(ConfigParser.load_config_file(folder / _CONFIG))
    opened = open_deployment(folder, device="cpu")
    found = _find_manifest(config, folder) if manifest is None else read_manifest(manifest)
    if found.num_classes != opened.num_classes:
        raise InvalidValueError(
            f"Expected the manifest of {folder} to have the network's {opened.num_classes} "
            f"classes, but {found.name} has {found.num_classes}."
        )
    metrics = folder / _METRICS
    return TrainedRun(
        opened=opened,
        config=config,
        manifest=found,
        metrics=json.loads(metrics.read_text(encoding="utf-8")) if metrics.is_file() else {},
    )


def _find_manifest(config: dict[str, Any], folder: Path) -> Manifest:
    found = find_manifest(folder)
    if found is None:
        raise MissingFileError(
            f"Expected the manifest {config.get('manifest')} of the run {folder}, but there is no "
            "such file here: run from the folder where it was trained, or say --manifest."
        )
    return found[0]
