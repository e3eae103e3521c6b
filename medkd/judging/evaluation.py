"""The stage that judges every predictor on the same cases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from medkd.judging.case_scoring import CaseScores, score_case
from medkd.judging.pooled_prediction import background_out_of, predict, tempered
from medkd.judging.prepared_case import prepare_case
from medkd.predictors import measure_cost
from medkd.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import torch

    from medkd.functional import ErrorBins, ReliabilityBins
    from medkd.judging.pooled_prediction import Prediction
    from medkd.predictors import Predictor, PredictorCost

__all__ = ["TEMPERATURE_ENDING", "MethodScores", "evaluate_cases"]

TEMPERATURE_ENDING = "_temperature"
"""What the name of a method ends in that is judged with a fitted temperature."""

_View = tuple["torch.Tensor", "torch.Tensor | None"]
_Bins = TypeVar("_Bins", "ReliabilityBins", "ErrorBins")


@dataclass
class MethodScores:
    """What one method reached on every case, and what it costs.

    Attributes:
        scores: case id to metric id to value.
        seconds: of one prediction, by case id.
        reliability: bins by region, pooled over the cases.
        errors: counts by ranked uncertainty, by region, pooled over the cases.
        cost: of a prediction of the first case; ``None`` before there was one.
        spacings: of the grid that each volume was scored on, in millimeters, by case id.
    """

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    reliability: dict[str, ReliabilityBins] = field(default_factory=dict)
    errors: dict[str, ErrorBins] = field(default_factory=dict)
    cost: PredictorCost | None = None
    spacings: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def add(self, case_id: str, scored: Sequence[CaseScores]) -> None:
        """Add a case, scored once for each of the predictors that the method is the mean of."""
        metrics = scored[0].scores
        self.scores[case_id] = {
            name: sum(one.scores[name] for one in scored) / len(scored) for name in metrics
        }
        self.seconds[case_id] = sum(one.seconds for one in scored) / len(scored)
        for one in scored:
            _pool(self.reliability, one.reliability)
            _pool(self.errors, one.errors)


def evaluate_cases(
    items: Sequence[Mapping[str, Any]],
    *,
    transform: Callable[..., Any],
    methods: Mapping[str, Sequence[Predictor]],
    temperatures: Mapping[str, Sequence[float]],
    class_names: Sequence[str],
    device: str | torch.device,
    with_cost: bool = True,
    description: str = "evaluation",
    own_images: Mapping[str, Callable[[Mapping[str, Any]], _View | None]] | None = None,
) -> dict[str, MethodScores]:
    """Score all methods on all cases, one case in memory at a time.

    Args:
        items: ``case_id`` and files.
        transform: the deterministic transforms.
        methods: names to the predictors that each is the mean of. One, as a rule; ``single`` is
            what one network is worth, so each member is scored for itself and the scores averaged.
        temperatures: method name to a temperature for each of its predictors, for those that are
            judged with one, too.
        class_names: by class index, the background first.
        device: where to compute.
        with_cost: measure the cost of each method, on the first case: three predictions more.
        description: of the progress bar.
        own_images: for methods that are not given what ``transform`` makes of an image: name to
            what makes of an item the image ``(1, C_in, *spatial)`` and bool ``(1, 1, *spatial)``
            where the method answers (out of it, the background; ``None`` for everywhere), on the
            device and on the same grid; ``None`` where it is given what the others are.

    Returns:
        The scores by method, in the order of ``methods``; behind one with temperatures the same
        with them, ``<name>_temperature``.
    """
    results: dict[str, MethodScores] = {}
    for name in methods:
        results[name] = MethodScores()
        if name in temperatures:
            results[f"{name}{TEMPERATURE_ENDING}"] = MethodScores()
    with progress(total=len(items) * len(methods), desc=description, unit="prediction") as bar:
        for number, item in enumerate(items):
            case = prepare_case(item, transform, device)
            for name, predictors in methods.items():
                bar.set_postfix_str(f"{case.case_id}, {name.replace('_', ' ')}")
                image, view = case.image, None
                own = own_images[name](item) if own_images and name in own_images else None
                if own is not None:
                    image, view = own
                cost = None
                if number == 0 and with_cost:
                    # It also pays, once, for memory and kernels that later predictions reuse.
                    cost = measure_cost(predictors[0], image)
                predictions = _predict(predictors, image, temperatures.get(name, ()), view)
                scored = {
                    ending: [score_case(one, case, class_names=class_names) for one in found]
                    for ending, found in predictions.items()
                }
                for ending, found in scored.items():
                    method = results[f"{name}{ending}"]
                    method.add(case.case_id, found)
                    method.cost = cost or method.cost
                    if case.spacing is not None:
                        method.spacings[case.case_id] = case.spacing
                bar.update()
    return results


def _predict(
    predictors: Sequence[Predictor],
    image: torch.Tensor,
    temperatures: Sequence[float],
    view: torch.Tensor | None,
) -> dict[str, list[Prediction]]:
    """By the ending of the method's name: what each predictor says, and with a temperature."""
    predictions = [predict(predictor, image) for predictor in predictors]
    if view is not None:
        predictions = [background_out_of(view, prediction) for prediction in predictions]
    if not temperatures:
        return {"": predictions}
    pairs = zip(predictions, temperatures, strict=True)
    return {"": predictions, TEMPERATURE_ENDING: [tempered(*pair) for pair in pairs]}


def _pool(pooled: dict[str, _Bins], bins: Mapping[str, _Bins]) -> None:
    for region, new in bins.items():
        old = pooled.get(region)
        pooled[region] = new if old is None else old + new
