"""The stage that fits a temperature for each method that is to be shown with one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.errors import InvalidValueError
from medkd.functional import fit_temperature
from medkd.judging.methods import predictors_by_method
from medkd.judging.pooled_prediction import predict
from medkd.judging.prepared_case import prepare_case
from medkd.progress import progress
from medkd.runs.json_files import write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import torch

    from medkd.predictors import Predictor
    from medkd.runs import Run

__all__ = ["fit_temperatures"]

_log = logging.getLogger(__name__)


def fit_temperatures(run: Run) -> None:
    """Fit the temperatures that are missing, on the validation split, and write them to a file.

    The methods are those of ``evaluate::temperature_scaled``. Temperatures of other networks than
    the run's present ones are fitted anew.

    Args:
        run: the run.

    Raises:
        ValueError: if a name is none of the predictors'.
    """
    path, names = Path(run.value("temperatures_file")), run.value("evaluate::temperature_scaled")
    methods = predictors_by_method(run.value("predictors"))
    _check_names(names, methods)
    if set(names) <= run.temperatures().keys():
        _log.info("All temperatures are there: %s.", path)
        return
    cases, transform = run.value("validate::cases"), run.value("prepared_cases").get
    temperatures = {
        name: [
            fit_temperature(
                _predictions(predictor, cases, transform, run.device, f"temperature of {name}")
            )
            for predictor in methods[name]
        ]
        for name in names
    }
    write_json(path, {"weights": run.weights_sha256(), "temperatures": temperatures}, indent=1)


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
    for item in progress(cases, desc=description.replace("_", " "), unit="case"):
        case = prepare_case(item, transform, device)
        yield predict(predictor, case.image).probs, case.label, case.mask
