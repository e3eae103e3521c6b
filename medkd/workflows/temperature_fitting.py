"""The stage that fits a temperature for each method that is to be shown with one."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.transforms.compose import Compose
from tqdm import tqdm

from medkd.errors import InvalidValueError
from medkd.files import atomic_write
from medkd.functional import fit_temperature
from medkd.judging.methods import predictors_by_method
from medkd.judging.pooled_prediction import predict
from medkd.judging.prepared_case import prepare_case
from medkd.runs.network_weights import network_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import torch

    from medkd.predictors import Predictor

__all__ = ["fit_temperatures", "read_temperatures"]

_log = logging.getLogger(__name__)


def fit_temperatures(
    *,
    file: str | Path,
    predictors: Mapping[str, Any],
    names: Sequence[str],
    model_file: str | Path,
    cases: Sequence[Mapping[str, Any]],
    transforms: Sequence[Any],
    device: str | torch.device,
    members_dir: str | Path | None = None,
    num_members: int = 0,
    labels_only_dir: str | Path | None = None,
    peers_dir: str | Path | None = None,
) -> None:
    """Fit the temperatures that are missing, on the validation split, and write them to a file.

    Args:
        file: where they go, as JSON.
        predictors: the bundle's predictors by name.
        names: those of them that are shown with a temperature, too.
        model_file: the student's weights. Temperatures of other networks are fitted anew.
        cases: the validation cases, ``case_id`` and files; never the test split.
        transforms: the deterministic transforms.
        device: where to compute.
        members_dir: the folder of the trained members; ``None`` for a run without an ensemble.
        num_members: how many of them.
        labels_only_dir: the members' folder of the network on labels alone, if there is one.
        peers_dir: the folder with the weights of the student's peers, if it has some.

    Raises:
        ValueError: if a name is none of the predictors'.
    """
    path = Path(file)
    methods = predictors_by_method(predictors)
    _check_names(names, methods)
    weights = network_weights(
        model_file=model_file,
        members_dir=members_dir,
        num_members=num_members,
        labels_only_dir=labels_only_dir,
        peers_dir=peers_dir,
    )
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("weights") == weights and set(names) <= set(known["temperatures"]):
        _log.info("All temperatures are there: %s.", path)
        return
    transform = Compose(list(transforms))
    temperatures = {
        name: [
            fit_temperature(
                _predictions(predictor, cases, transform, device, f"temperature of {name}")
            )
            for predictor in methods[name]
        ]
        for name in names
    }
    with atomic_write(path, "w") as stream:
        json.dump({"weights": weights, "temperatures": temperatures}, stream, indent=1)


def read_temperatures(file: str | Path, weights: Sequence[str]) -> dict[str, list[float]]:
    """The temperatures of these networks.

    Args:
        file: what :func:`fit_temperatures` wrote.
        weights: what identifies the networks.

    Returns:
        Method name to one temperature for each of its predictors. Temperatures of other networks
        are left out, and the log says so.
    """
    path = Path(file)
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("weights") != list(weights):
        _log.warning("No temperatures of these networks in %s: shown without them.", path)
        return {}
    temperatures: dict[str, list[float]] = known["temperatures"]
    return temperatures


def _check_names(names: Sequence[str], methods: Mapping[str, Any]) -> None:
    for name in names:
        if name not in methods:
            raise InvalidValueError(
                f"Expected `temperature_scaled` to name predictors of {sorted(methods)}, "
                f"but got {name!r}."
            )


def _predictions(
    predictor: Predictor,
    cases: Sequence[Mapping[str, Any]],
    transform: Callable[..., Any],
    device: str | torch.device,
    description: str,
) -> Iterator[tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]]:
    for item in tqdm(cases, desc=description.replace("_", " "), unit="case"):
        case = prepare_case(item, transform, device)
        yield predict(predictor, case.image).probs, case.label, case.mask
