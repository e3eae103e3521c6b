"""What every run does first: check what it was told, and write down what it is."""

from __future__ import annotations

import json
import logging
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from monai.bundle.config_parser import ConfigParser

from medkd.errors import MissingFileError
from medkd.files import atomic_write
from medkd.runs.configuration import running_parser
from medkd.runs.error_reporting import report_errors_in_one_sentence
from medkd.runs.override_checks import check_ids, check_paths
from medkd.runs.process_group import ProcessGroup, process_rank
from medkd.runs.training_settings import check_same_settings, training_settings

__all__ = ["start_run"]

_PACKAGES = ("medkd", "monai", "torch", "pytorch-ignite", "numpy", "scipy", "nibabel", "Pillow")


def start_run(
    *,
    bundle_root: str | Path,
    config_file: str | Path,
    log_file: str | Path,
    training_dir: str | Path | None = None,
    known: str = "train.json",
    process_group: ProcessGroup | None = None,
) -> None:
    """Check overrides, start the log, and write the configuration and the versions beside it.

    Args:
        bundle_root: the bundle's folder.
        config_file: where the configuration is written, overrides merged: it can be run as it is.
            ``environment.json`` with versions and threads lies beside it.
        log_file: the log, appended to.
        training_dir: of the training that this run would do or go on with; ``None`` if none.
        known: the bundle's file that has every id.
        process_group: the processes of this run, of which the main one writes; ``None`` for one.

    Raises:
        FileNotFoundError: if ``bundle_root`` has no such file.
        ValueError: if an override names no id, ``training_dir`` holds another training, or a path
            is not as it was written, for MONAI has rewritten it.
    """
    parser = running_parser()
    config = parser.get()
    report_errors_in_one_sentence(None)  # the log's own path may be one that was not meant
    check_paths(config)
    report_errors_in_one_sentence(log_file)
    known_file = Path(bundle_root) / known
    if not known_file.is_file():
        raise MissingFileError(
            f"Expected the bundle in `bundle_root`, but there is no {known_file}. Run from the "
            "folder that holds it, or say where it is with --bundle_root."
        )
    check_ids(config, ConfigParser.load_config_file(known_file))
    if training_dir is not None:
        check_same_settings(Path(training_dir) / "settings.json", training_settings(parser))
    if process_group is not None and not process_group.is_main:
        return
    _log_to(log_file)
    _write_json(config_file, {k: v for k, v in config.items() if k != ConfigParser.meta_key})
    _write_json(Path(config_file).with_name("environment.json"), _environment())


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


def _write_json(path: str | Path, content: object) -> None:
    with atomic_write(path, "w") as file:
        json.dump(content, file, indent=4, default=str)


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
