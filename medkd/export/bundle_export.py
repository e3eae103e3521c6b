"""From a finished run to a standard MONAI bundle that needs MONAI alone."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from medkd.errors import InvalidValueError
from medkd.export.bundle_documents import bundle_documents
from medkd.export.bundle_metadata import bundle_metadata, shipped_names
from medkd.export.bundle_scripts import BundleScripts
from medkd.export.export_proof import prove_bundle
from medkd.export.plain_inference import plain_inference
from medkd.export.plain_training import plain_multi_gpu, plain_training
from medkd.export.trained_run import read_run
from medkd.files import atomic_folder, atomic_write
from medkd.planning.json_layout import format_json
from medkd.progress import progress

if TYPE_CHECKING:
    from pathlib import Path

    from medkd.export.export_proof import Proof
    from medkd.export.trained_run import TrainedRun

__all__ = ["choose_name", "export_bundle", "write_bundle_folder"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
# To MONAI Label, these in a name say what kind of model it is.
_MEANINGFUL = ("deepedit", "deepgrow", "detection", "classification")
_OWN = "medkd"


def export_bundle(
    run_dir: str | Path,
    output: str | Path,
    *,
    name: str | None = None,
    manifest: str | Path | None = None,
) -> Proof:
    """Write the student of a run as a bundle in the layout of MONAI's Model Zoo, and prove it.

    Inference needs MONAI alone, and gives the run's label maps: that is proved in a process that
    cannot import medkd, before the folder takes its place. Training goes on from the student, on
    labels.

    Args:
        run_dir: the run's folder.
        output: the bundle's folder, which must be new.
        name: of the bundle, in ``metadata.json``; by default after the data set.
        manifest: of the data set, if the one that the run names is not there.

    Returns:
        What was compared.

    Raises:
        FileExistsError: if ``output`` exists.
        FileNotFoundError: if a file of the run is missing.
        RuntimeError: if the bundle does not run without medkd.
        ValueError: if the weights do not fit, ``name`` will not do, or the bundle segments
            otherwise than the run. In all these cases nothing is written.
    """
    with atomic_folder(output) as temporary:
        run = read_run(run_dir, manifest=manifest)
        return write_bundle_folder(temporary, run, name=choose_name(name, run))


def write_bundle_folder(folder: Path, run: TrainedRun, *, name: str) -> Proof:
    """Write a bundle into a folder and prove it.

    Args:
        folder: the bundle's folder.
        run: the run.
        name: of the bundle.

    Returns:
        What was compared.
    """
    with progress(total=2, desc="writing the bundle", unit="step") as bar:
        for file, text in _texts(run, name=name).items():
            with atomic_write(folder / file, "w") as stream:
                stream.write(text)
        (folder / "models").mkdir()
        shutil.copyfile(run.opened.model_file, folder / "models" / "model.pt")
        bar.update()
        bar.set_description("proving it without medkd")
        proof = prove_bundle(folder, run)
        bar.update()
    for cache in folder.rglob("__pycache__"):  # what the proof left
        shutil.rmtree(cache)
    return proof


def choose_name(name: str | None, run: TrainedRun) -> str:
    """Check a bundle's name, or make one after the data set.

    Args:
        name: what was asked for, if anything.
        run: the run.

    Returns:
        The name.

    Raises:
        ValueError: if it has other characters than MONAI Label can take, or says that the model is
            of another kind.
    """
    letters = re.sub(r"[^a-z0-9]+", "_", run.manifest.name.lower()).strip("_")
    chosen = name or "_".join(filter(None, (letters, "student")))
    if not _NAME.fullmatch(chosen):
        raise InvalidValueError(
            f"Expected `name` of small letters, digits and underscores, but got {chosen!r}."
        )
    for word in _MEANINGFUL:
        if word in chosen:
            raise InvalidValueError(
                f"Expected `name` without {word!r}, which is another kind of model to MONAI "
                f"Label, but got {chosen!r}."
            )
    return chosen


def _texts(run: TrainedRun, *, name: str) -> dict[str, str]:
    """Every file but the weights, relative to the bundle's folder."""
    scripts = BundleScripts()
    metadata = bundle_metadata(run, name=name)
    configs = {
        "inference.json": plain_inference(run, scripts),
        "train.json": plain_training(run, scripts),
        "multi_gpu_train.json": plain_multi_gpu(),
    }
    for file, config in configs.items():
        _check_plain(config, file)
    configs["metadata.json"] = metadata
    return {
        "labels.json": format_json(shipped_names(run.manifest)),
        **{f"configs/{file}": format_json(config) for file, config in configs.items()},
        **{f"scripts/{file}": text for file, text in scripts.texts.items()},
        **bundle_documents(run, metadata),
    }


def _check_plain(config: dict[str, Any], file: str) -> None:
    for name, value in config.items():
        if _OWN in json.dumps(value):
            raise InvalidValueError(
                f"Expected `{name}` of {file} to need MONAI alone, but got {json.dumps(value)}."
            )
