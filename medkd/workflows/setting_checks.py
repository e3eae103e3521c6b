"""What can be known to be wrong before hours are spent on training."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import torch
from monai.bundle.config_parser import ConfigParser

from medkd._checks import check_at_least, check_distillation_weight
from medkd.errors import FileError, InvalidTypeError, InvalidValueError
from medkd.planning import inference_config
from medkd.runs.disk_space import check_disk

if TYPE_CHECKING:
    from medkd.runs import Run

__all__ = ["check_settings"]

_CASES = ("train::cases", "train::all_cases", "train::labeled_cases", "validate::cases")
_LOSSES = ("distillation_loss", "mutual_loss")
_TEMPERATURE = "distillation_temperature"


def check_settings(run: Run) -> None:
    """Refuse settings and data that the last stage would stumble over after the first has run.

    Asking for the ids is most of the check: the losses are built, so their settings are looked at,
    and the cases of every split are listed, so each of their files is there.

    Args:
        run: the run.

    Raises:
        ValueError: if a number is out of its range, two settings contradict each other, a split has
            no case, an image cannot be prepared without its label, or the device is absent.
        TypeError: if one of ``predictors`` is none.
        OSError: if the run's folder cannot be written to, or the disk has no room for it.
    """
    if run.value("members_dir") is not None:
        check_at_least(run.num_members, 1, "num_members")
    dropout = run.value("dropout", 0.0)
    if not 0.0 <= dropout < 1.0:
        raise InvalidValueError(
            f"Expected `dropout` to be at least 0 and below 1, but got {dropout}."
        )
    check_distillation_weight(run.value("distillation_weight", 0.0), run.value("distillation_loss"))
    _check_mutual(run)
    _check_temperatures(run)
    _check_predictors(run)
    for name in (*_CASES, "evaluate::cases"):
        if name in run.parser and not run.value(name):
            raise InvalidValueError(
                f"Expected every split that is read to have a case, but `{name}` has none."
            )
    _check_device(run.device)
    _check_deployment(run)
    _check_folder(run)


def _check_mutual(run: Run) -> None:
    for name in ("mutual_weight", "ramp_up_epochs"):
        value = run.value(name, 0.0)
        if not (math.isfinite(value) and value >= 0):
            raise InvalidValueError(
                f"Expected `{name}` to be finite and zero or more, but got {value}."
            )
    weight = run.value("mutual_weight", 0.0)
    if weight > 0 and run.value("mutual_loss") is None:
        raise InvalidValueError(
            "Expected `mutual_loss` when `mutual_weight` is above zero, but got None with a weight "
            f"of {weight}."
        )


def _check_temperatures(run: Run) -> None:
    """What a teacher is softened by when its soft labels are written, and what the loss divides by.

    The loss takes probabilities, and cannot know.
    """
    expected = run.value(_TEMPERATURE)
    for name in _LOSSES:
        found = getattr(run.value(name), "temperature", expected)
        if found != expected:
            raise InvalidValueError(
                f"Expected `{name}::temperature` to be `{_TEMPERATURE}`, at which the teacher's "
                f"probabilities are made, but got {found} beside {expected}. Change "
                f"`{_TEMPERATURE}`; the loss follows it."
            )


def _check_predictors(run: Run) -> None:
    """Predictors are made when all is trained; whether they are some is seen before."""
    entries: dict[str, Any] = run.config.get("predictors") or {}
    for name, entry in entries.items():
        is_expression = isinstance(entry, str) and entry[:1] in ("$", "@", "%")
        is_component = isinstance(entry, dict) and "_target_" in entry
        if not (entry is None or is_expression or is_component):
            raise InvalidTypeError(
                f"Expected `predictors::{name}` to be a predictor of medkd.predictors, but got "
                f"{type(entry).__name__} {entry!r}. To leave one out, say "
                f"--predictors::{name}::_disabled_ true."
            )
        if is_component and not callable(_class_of(str(entry["_target_"]))):
            raise InvalidTypeError(
                f"Expected `predictors::{name}` to name a class, but there is no "
                f"{entry['_target_']}."
            )
    for name in run.value("evaluate::temperature_scaled", []):
        if name not in entries:
            raise InvalidValueError(
                f"Expected `evaluate::temperature_scaled` to name predictors of {sorted(entries)}, "
                f"but got {name!r}."
            )


def _class_of(target: str) -> Any:  # noqa: ANN401 - whatever has this name
    parser = ConfigParser({"wanted": f"${target}", "imports": ["$import medkd"]})
    if "." not in target:  # MONAI looks it up among its own
        return target if parser.locator.get_component_module_name(target) else None
    module, _, name = target.rpartition(".")
    try:
        return getattr(__import__(module, fromlist=[name]), name, None)
    except ImportError:
        return None


def _check_device(device: str | torch.device) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA raises the latter
        raise InvalidValueError(
            f"Expected `device` to be one that torch can use here, but got {str(device)!r}: {error}"
        ) from error


def _check_deployment(run: Run) -> None:
    """Transforms that cannot do without the label, and windows that do not make what is written."""
    frame = ConfigParser.load_config_file(run.bundle_root / "inference.json")
    ConfigParser(inference_config(run.config, frame)).get_parsed_content("inferer")


def _check_folder(run: Run) -> None:
    if not os.access(run.folder, os.W_OK):
        raise FileError(f"Expected to write to {run.folder}, but it is read-only.")
    check_disk(run)
