"""What every run does first: check what it was told, and write down what it is."""

from __future__ import annotations

import logging
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from monai.bundle.config_parser import ConfigParser

from medkd.errors import MissingFileError
from medkd.runs.deployment_checks import check_judges_what_ships
from medkd.runs.error_reporting import report_errors_in_one_sentence
from medkd.runs.json_files import write_json
from medkd.runs.override_checks import check_ids, check_paths
from medkd.runs.process_group import process_rank
from medkd.runs.training_settings import check_same_settings, training_settings

if TYPE_CHECKING:
    from medkd.runs import Run

__all__ = ["start_run"]

_TRAINING = "train.json"
_PACKAGES = (
    *("medkd", "monai", "torch", "pytorch-ignite", "numpy", "scipy"),
    *("nibabel", "SimpleITK", "Pillow"),
)


def start_run(run: Run, *, known: str = _TRAINING, trains: bool = True) -> None:
    """Check overrides, start the log, and write configuration, versions and manifest down.

    The configuration goes to the id ``config_file``, overrides merged, so that it can be run as it
    is; ``environment.json`` with versions and threads lies beside it. No other process is let into
    the folder of the training, or of the report, while this one lives.

    Args:
        run: the run.
        known: the bundle's file that has every id.
        trains: whether this run would begin a training or go on with one.

    Raises:
        FileNotFoundError: if the bundle has no such file.
        ValueError: if an override names no id, a path is not as it was written, for MONAI has
            rewritten it, or the folder holds another training.
        RuntimeError: if another process is at work in the folder.
    """
    report_errors_in_one_sentence(None)  # the log's own path may be one that was not meant
    check_paths(run.config)
    log_file = run.value("log_file")
    report_errors_in_one_sentence(log_file)
    known_file = run.bundle_root / known
    if not known_file.is_file():
        raise MissingFileError(
            f"Expected the bundle in `bundle_root`, but there is no {known_file}. Run from the "
            "folder that holds it, or say where it is with --bundle_root."
        )
    check_ids(run.config, ConfigParser.load_config_file(known_file))
    if run.process_group.is_main:
        run.lock(run.training_dir if trains else _report_dir(run))
    if not trains and known == _TRAINING:
        check_judges_what_ships(run)
    if trains:
        check_same_settings(run.training_dir / "settings.json", training_settings(run.parser))
    if not run.process_group.is_main:
        return
    _log_to(log_file)
    config_file = Path(run.value("config_file"))
    write_json(config_file, run.config)
    write_json(config_file.with_name("environment.json"), _environment())
    if trains:
        run.keep_manifest()


def _report_dir(run: Run) -> Path:
    """Where an evaluation writes, or a prediction."""
    return Path(run.value("report_dir", run.folder))


def _log_to(log_file: str | Path) -> None:
    # A member's run in another process than the main one would mix its lines into the run's log.
    if process_rank() > 0:
        return
    path = Path(log_file).resolve()
    root = logging.getLogger()
    if any(getattr(handler, "baseFilename", None) == str(path) for handler in root.handlers):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)


def _environment() -> dict[str, object]:
    return {
        "python": platform.python_version(),
        "packages": {package: _version(package) for package in _PACKAGES},
        "cuda": torch.version.cuda,
        "threads": torch.get_num_threads(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
