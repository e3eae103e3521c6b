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
from medkd.runs.deployment import deployment_is_current, open_deployment
from medkd.runs.training_time import AS_SHIPPED, training_seconds
from medkd.texts import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from medkd.data import PreparedCases
    from medkd.judging.evaluation import MethodScores
    from medkd.predictors import Predictor
    from medkd.runs import Deployment, Run

__all__ = ["evaluate_run"]

_STUDENT = "student"
_TITLES = {
    AS_SHIPPED: "student, as shipped",
    "single": "single network",
    "test_time_augmentation": "test-time augmentation",
    "mc_dropout": "MC dropout",
    "labels_only": "labels-only network",
}
_SHOWN = ("deep_ensemble", "teacher", "labels_only", "student")
_WITH_MEMBERS = ("deep_ensemble", "peer_ensemble")
_log = logging.getLogger(__name__)


def evaluate_run(
    run: Run,
    *,
    transforms: Sequence[Any] | None = None,
    report_dir: str | Path | None = None,
    shift: tuple[str, int] | None = None,
) -> None:
    """Evaluate every predictor, and the student as shipped, on a split; write the report.

    Args:
        run: the run.
        transforms: in place of the deterministic transforms.
        report_dir: where the report goes, in place of the id of that name.
        shift: what the images were degraded by, and how much; ``None`` if they are as they were.

    Raises:
        FileNotFoundError: if a member or the student is not trained.
        ValueError: if weights do not fit their network, or a case cannot be used.
    """
    deployment = _deployment(run)
    methods = _with_shipped(deployment, predictors_by_method(run.value("predictors")))
    prepared: PreparedCases = run.value("prepared_cases")
    first = prepared.get if transforms is None else Compose(list(transforms))
    transform = Compose([first, *run.value("evaluate::second_observer", [])])
    cases, device = run.value("evaluate::cases"), run.device
    dataset = run.value("evaluate::dataset")
    name = dataset if shift is None else f"{dataset} {shift[0]} {shift[1]}"
    class_names = run.value("evaluate::class_names")
    temperatures = run.temperatures()
    if not temperatures:
        _log.warning("No temperatures of these networks are fitted: shown without them.")
    scored = evaluate_cases(
        cases,
        transform=transform,
        methods=methods,
        # The student with its temperature is the one that ships.
        temperatures={m: values for m, values in temperatures.items() if m != _STUDENT},
        class_names=class_names,
        device=device,
        with_cost=shift is None,  # worse images cost the same
        description=f"evaluation on {name}",
        own_images=None if deployment is None or shift else {AS_SHIPPED: _shipped(deployment)},
    )
    histories = run.histories(member_name="teacher" if "teacher" in methods else "member")
    results = EvaluationResults(
        dataset=name,
        split=run.value("split"),
        methods=[
            _result(
                method,
                scores,
                methods[_base(method)][0],
                histories,
                failure_dice=run.value("evaluate::failure_dice"),
            )
            for method, scores in scored.items()
        ],
        class_names=class_names,
        settings={key: str(value) for key, value in run.value("evaluate::settings").items()},
        histories=histories,
        pictures=_pictures(
            cases, scored, methods, transform=first, picture=prepared.picture, device=device
        )
        if shift is None
        else (),
        regions=_regions(scored),
        grid=_grid(scored, run.value("evaluate::distance_unit", "mm")),
        shift=shift,
    )
    page = write_report(results, report_dir or run.value("report_dir"))
    said = f"\n{format_table(results)}\n\nReport: {page}\n"
    sys.stdout.write(printable(said, sys.stdout.encoding))
    _log.info("Report: %s", page)


def _deployment(run: Run) -> Deployment | None:
    """What the run ships; ``None`` before that was made of its present weights."""
    if deployment_is_current(run.folder, run.model_file):
        return open_deployment(run.folder, device=run.device)
    _log.warning("No deployment of these weights in %s: not judged as shipped.", run.folder)
    return None


def _shipped(deployment: Deployment) -> Callable[[Mapping[str, Any]], Any]:
    """Where a student is used nobody has drawn the field of view of an image."""
    return lambda item: deployment.prepare(item) if "mask" in item else None


def _with_shipped(
    deployment: Deployment | None, methods: Mapping[str, Sequence[Predictor]]
) -> dict[str, Sequence[Predictor]]:
    """The methods, and behind the student what the run's deployment makes of it."""
    if deployment is None:
        return dict(methods)
    shipped = [deployment.predictor()]
    ordered: dict[str, Sequence[Predictor]] = {}
    for name, predictors in methods.items():
        ordered[name] = predictors
        if name == _STUDENT:
            ordered[AS_SHIPPED] = shipped
    return ordered if _STUDENT in methods else {**ordered, AS_SHIPPED: shipped}


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
