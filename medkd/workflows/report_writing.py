"""The stage that evaluates a finished run and writes its report."""

from __future__ import annotations

import logging
import math
import sys
from typing import TYPE_CHECKING, Any

import torch
from monai.transforms.compose import Compose

from medkd.functional import failure_aurc, failure_auroc, rank_correlation
from medkd.judging.case_pictures import pictures_of
from medkd.judging.evaluation import TEMPERATURE_ENDING, evaluate_cases
from medkd.judging.methods import predictors_by_method
from medkd.judging.prepared_case import BAND_RADIUS_MM
from medkd.reports import (
    REGION_ENDINGS,
    WHOLE_IMAGE_ENDINGS,
    EvaluationResults,
    MethodCost,
    MethodResult,
    VolumeGrid,
    format_table,
    write_report,
)
from medkd.runs.network_weights import network_weights
from medkd.runs.training_time import read_histories, training_seconds
from medkd.workflows.temperature_fitting import read_temperatures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from medkd.judging.evaluation import MethodScores
    from medkd.predictors import Predictor

__all__ = ["evaluate_run"]

_TITLES = {
    "single": "single network",
    "test_time_augmentation": "test-time augmentation",
    "mc_dropout": "MC dropout",
    "labels_only": "labels-only network",
}
_SHOWN = ("deep_ensemble", "teacher", "labels_only", "student")
_WITH_MEMBERS = ("deep_ensemble", "peer_ensemble")
_log = logging.getLogger(__name__)


def evaluate_run(
    *,
    dataset: str,
    class_names: Sequence[str],
    split: str,
    cases: Sequence[Mapping[str, Any]],
    predictors: Mapping[str, Any],
    temperatures_file: str | Path,
    failure_dice: float,
    model_file: str | Path,
    training_dir: str | Path,
    transforms: Sequence[Any],
    device: str | torch.device,
    report_dir: str | Path,
    settings: Mapping[str, Any],
    members_dir: str | Path | None = None,
    num_members: int = 0,
    dropout_dir: str | Path | None = None,
    labels_only_dir: str | Path | None = None,
    peers_dir: str | Path | None = None,
    distance_unit: str = "mm",
    shift: tuple[str, int] | None = None,
) -> None:
    """Evaluate every predictor on a split, write the report, print the table.

    There are many arguments because each is an id of the bundle that a user may override.

    Args:
        dataset: the name of the data set, which may be another than the one trained on.
        class_names: by class index, the background first.
        split: the name of the split.
        cases: its cases, ``case_id`` and files.
        predictors: the bundle's predictors by name.
        temperatures_file: those that were fitted on the validation split.
        failure_dice: a case with a lower Dice counts as failed, in ``[0, 1]``.
        model_file: the student's weights.
        training_dir: where the student's training curves lie.
        transforms: the deterministic transforms.
        device: where to compute.
        report_dir: where the report goes.
        settings: what to say of the run in the report's header.
        members_dir: the folder of the trained members; ``None`` for a run without an ensemble.
        num_members: how many of them.
        dropout_dir: the members' folder of the network with dropout, if there is one.
        labels_only_dir: the members' folder of the network on labels alone, if there is one.
        peers_dir: the folder with the weights of the student's peers, if it has some.
        distance_unit: of the volumes' spacing, as their manifest says.
        shift: what the images were degraded by, and how much; ``None`` if they are as they were.

    Raises:
        FileNotFoundError: if a member or the student is not trained.
        ValueError: if weights do not fit their network, or a case cannot be used.
    """
    weights = network_weights(
        model_file=model_file,
        members_dir=members_dir,
        num_members=num_members,
        labels_only_dir=labels_only_dir,
        peers_dir=peers_dir,
    )
    methods = predictors_by_method(predictors)
    transform = Compose(list(transforms))
    name = dataset if shift is None else f"{dataset} {shift[0]} {shift[1]}"
    scored = evaluate_cases(
        cases,
        transform=transform,
        methods=methods,
        temperatures=read_temperatures(temperatures_file, weights),
        class_names=class_names,
        device=device,
        with_cost=shift is None,  # worse images cost the same
        description=f"evaluation on {name}",
    )
    histories = read_histories(
        training_dir,
        members_dir=members_dir,
        num_members=num_members,
        member_name="teacher" if "teacher" in methods else "member",
        dropout_dir=dropout_dir,
        labels_only_dir=labels_only_dir,
    )
    results = EvaluationResults(
        dataset=name,
        split=split,
        methods=[
            _result(method, scores, methods[_base(method)][0], histories, failure_dice=failure_dice)
            for method, scores in scored.items()
        ],
        class_names=class_names,
        settings={key: str(value) for key, value in settings.items()},
        histories=histories,
        pictures=_pictures(cases, scored, methods, transform=transform, device=device)
        if shift is None
        else (),
        regions=_regions(scored),
        grid=_grid(scored, distance_unit),
        shift=shift,
    )
    page = write_report(results, report_dir)
    sys.stdout.write(f"\n{format_table(results)}\n\nReport: {page}\n")
    _log.info("Report: %s", page)


def _regions(scored: Mapping[str, MethodScores]) -> dict[str, str]:
    known = next(iter(scored.values())).reliability
    return next(dict(r) for r in (REGION_ENDINGS, WHOLE_IMAGE_ENDINGS) if known.keys() == r.keys())


def _grid(scored: Mapping[str, MethodScores], distance_unit: str) -> VolumeGrid | None:
    spacings = next(iter(scored.values())).spacings
    return VolumeGrid(spacings, BAND_RADIUS_MM, distance_unit) if spacings else None


def _result(
    name: str,
    method: MethodScores,
    predictor: Predictor,
    histories: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    failure_dice: float,
) -> MethodResult:
    cost = method.cost
    return MethodResult(
        name=name,
        title=_title(name),
        num_parameters=predictor.num_parameters,
        seconds_per_case=method.seconds,
        scores=method.scores,
        reliability=method.reliability,
        errors=method.errors,
        summary=_summary(method, failure_dice),
        cost=MethodCost(
            multiply_adds=None if cost is None else cost.multiply_adds,
            peak_memory_bytes=None if cost is None else cost.peak_memory_bytes,
            training_seconds=training_seconds(_base(name), histories),
            num_passes=predictor.num_passes,
        ),
    )


def _base(method: str) -> str:
    """The method whose predictors a method has: its own, or those without their temperature."""
    return method.removesuffix(TEMPERATURE_ENDING)


def _title(name: str) -> str:
    base = _base(name)
    title = _TITLES.get(base, base.replace("_", " "))
    return title if base == name else f"{title} + temperature"


def _summary(method: MethodScores, failure_dice: float) -> dict[str, float]:
    """How well the mean uncertainty of a case tells which cases went wrong."""
    rows = [row for row in method.scores.values() if math.isfinite(row["dice"])]
    uncertainty, dice = (
        torch.tensor([row[name] for row in rows], dtype=torch.float64)
        for name in ("mean_predictive_entropy", "dice")
    )
    return {
        "failure_auroc": float(failure_auroc(uncertainty, dice, threshold=failure_dice)),
        "failure_aurc": float(failure_aurc(uncertainty, dice)),
        "uncertainty_dice_correlation": float(rank_correlation(uncertainty, dice)),
    }


def _pictures(
    cases: Sequence[Mapping[str, Any]],
    scored: Mapping[str, MethodScores],
    methods: Mapping[str, Sequence[Predictor]],
    **kwargs: Any,  # noqa: ANN401 - handed to pictures_of
) -> list[Any]:
    shown = {name: methods[name][0] for name in _SHOWN if name in methods}
    if not shown:
        name = next(iter(methods))
        shown = {name: methods[name][0]}
    ranking = scored[list(shown)[-1]]
    dice = {case_id: row["dice"] for case_id, row in ranking.scores.items()}
    members = next((methods[name][0] for name in _WITH_MEMBERS if name in methods), None)
    return pictures_of(cases, dice, predictors=shown, members=members, **kwargs)
