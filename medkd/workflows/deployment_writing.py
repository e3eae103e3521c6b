"""The stage that leaves a run with what it ships: weights, and how a file becomes an answer."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING, Any

import torch
from monai.bundle.config_parser import ConfigParser
from monai.inferers.inferer import SliceInferer
from monai.utils.type_conversion import convert_to_tensor

from medkd.files import atomic_write, sha256_of
from medkd.networks import fold_temperature, save_weights
from medkd.planning import inference_config
from medkd.runs.deployment import RECORD, SHIPPED
from medkd.runs.json_files import read_json, write_json
from medkd.teachers import load_network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from medkd.runs import Run

__all__ = ["write_deployment"]

_STUDENT = "student"
_log = logging.getLogger(__name__)


def write_deployment(run: Run) -> None:
    """Write ``inference.json`` and ``models/shipped.pt`` of a run, and ``deployment.json``.

    The configuration is the one that was trained, by :func:`medkd.planning.inference_config`, in
    the frame of the bundle's ``inference.json``. The weights are those that were trained with the
    calibration temperature folded in, where that is exact for their network; elsewhere they are a
    copy, and the configuration divides the logits. ``deployment.json`` says which, and the SHA-256
    of what ships and of what it was made from.

    Args:
        run: the run, whose student is trained.

    Raises:
        ValueError: if a deterministic transform cannot do without the label.
        OSError: if a file cannot be written.
    """
    if not run.process_group.is_main:
        return
    temperatures = run.temperatures().get(_STUDENT)
    temperature = 1.0 if temperatures is None else temperatures[0]
    origin = {
        "model_sha256": sha256_of(run.model_file),
        "calibration_temperature": temperature,
        "is_calibrated": temperatures is not None,
    }
    shipped = run.folder / SHIPPED
    is_folded = _kept_fold(run.folder, origin)
    if is_folded is None:
        is_folded = _write_weights(run, shipped, temperature)
    frame = ConfigParser.load_config_file(run.bundle_root / "inference.json")
    config = inference_config(run.config, frame)
    config |= {
        "run_dir": str(run.folder),
        "model_file": f"$@run_dir + '/{SHIPPED}'",
        "calibration_temperature": 1.0 if is_folded else temperature,
        "label_values": list(run.manifest.written_label_values),
    }
    write_json(run.folder / "inference.json", config)
    record = {"sha256": sha256_of(shipped), **origin, "is_folded": is_folded}
    write_json(run.folder / RECORD, record)
    how = "in the weights" if is_folded else "before the softmax"
    _log.info("What the run ships is written, temperature %.4f %s.", temperature, how)


def _kept_fold(folder: Path, origin: Mapping[str, Any]) -> bool | None:
    """Whether what is there already has its temperature folded in; ``None`` if it is to be made."""
    path, shipped = folder / RECORD, folder / SHIPPED
    if not (path.is_file() and shipped.is_file()):
        return None
    record: dict[str, Any] = read_json(path)
    is_same = {**record, **origin} == record and record["sha256"] == sha256_of(shipped)
    return bool(record["is_folded"]) if is_same else None


def _write_weights(run: Run, shipped: Path, temperature: float) -> bool:
    """Write the weights that ship; whether the temperature is folded in."""
    network = load_network(run.folder / "config.json", run.model_file)
    folded = None if temperature == 1.0 else fold_temperature(network, temperature, _window(run))
    if folded is not None:
        save_weights(folded, shipped)
        return True
    with atomic_write(shipped) as file, run.model_file.open("rb") as trained:
        shutil.copyfileobj(trained, file)
    return temperature == 1.0


def _window(run: Run) -> torch.Tensor:
    """A window of a real image on the CPU, ``(1, C_in, *window)``, to prove a fold on."""
    case = run.value("validate::cases")[0]
    prepared = run.value("prepared_cases").get(case)["image"]
    image: torch.Tensor = convert_to_tensor(prepared, track_meta=False, device="cpu").float()
    # One of its own: MONAI's SliceInferer changes its roi_size when it is used.
    windows = run.with_overrides().get_parsed_content("inferer")
    if isinstance(windows, SliceInferer):
        axis = 1 + windows.spatial_dim
        image = image.select(axis, image.shape[axis] // 2)
    return _cut(image, windows.roi_size).unsqueeze(0)


def _cut(image: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """The middle of an image, with zeros where it ends before the window does."""
    window = image.new_zeros(len(image), *size)
    starts = [max(n - s, 0) // 2 for n, s in zip(image.shape[1:], size, strict=True)]
    place = tuple(slice(a, a + s) for a, s in zip(starts, size, strict=True))
    part = image[(slice(None), *place)]
    window[(slice(None), *(slice(0, n) for n in part.shape[1:]))] = part
    return window
