"""The stage that judges single network, ensemble and student on the same cases."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from monai.utils.type_conversion import convert_to_tensor
from tqdm import tqdm

from medkd.workflows.case_scoring import score_case

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from medkd.functional import ReliabilityBins
    from medkd.predictors import NetworkPredictor

__all__ = ["MethodScores", "PreparedCase", "evaluate_cases", "predict_case", "prepare_case"]


@dataclass
class MethodScores:
    """What one method reached: scores and seconds by case, reliability pooled over the cases."""

    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    reliability: dict[str, ReliabilityBins] = field(default_factory=dict)

    def add_bins(self, bins: Mapping[str, ReliabilityBins]) -> None:
        """Pool the bins of one more prediction."""
        for region, new in bins.items():
            old = self.reliability.get(region)
            self.reliability[region] = new if old is None else old + new


@dataclass(frozen=True)
class PreparedCase:
    """One prepared case: tensors with a batch axis of one, on the device."""

    case_id: str
    image: torch.Tensor
    label: torch.Tensor
    mask: torch.Tensor


def prepare_case(
    item: Mapping[str, Any], transform: Callable[..., Any], device: str | torch.device
) -> PreparedCase:
    """Read one case.

    Args:
        item: ``case_id`` and files.
        transform: the deterministic transforms, giving ``image``, ``label`` and ``mask``.
        device: where the tensors go.

    Returns:
        The case.
    """
    data = transform(dict(item))
    # Plain tensors, for MetaTensor's bookkeeping would be timed with the networks.
    tensors = {
        key: convert_to_tensor(data[key], track_meta=False, device=device).unsqueeze(0)
        for key in ("image", "label", "mask")
    }
    return PreparedCase(
        case_id=item["case_id"],
        image=tensors["image"],
        label=tensors["label"].long(),
        mask=tensors["mask"].bool(),
    )


def predict_case(
    case: PreparedCase, members: NetworkPredictor, student: NetworkPredictor
) -> tuple[list[torch.Tensor], torch.Tensor, dict[str, float]]:
    """Predict one case with every network, timed.

    Args:
        case: the case.
        members: the ensemble.
        student: the student.

    Returns:
        Each member's probabilities and the student's, ``(1, C, *spatial)``, and the seconds of
        ``single`` (the mean over the members), ``deep_ensemble`` (all of them) and ``student``.
    """
    predictions, seconds = [], []
    for m in range(len(members.members)):
        probs, taken = _timed(members, m, case.image)
        predictions.append(probs)
        seconds.append(taken)
    student_probs, student_seconds = _timed(student, 0, case.image)
    return (
        predictions,
        student_probs,
        {
            "single": sum(seconds) / len(seconds),
            "deep_ensemble": sum(seconds),
            "student": student_seconds,
        },
    )


def evaluate_cases(
    items: Sequence[Mapping[str, Any]],
    *,
    transform: Callable[..., Any],
    members: NetworkPredictor,
    student: NetworkPredictor,
    device: str | torch.device,
) -> dict[str, MethodScores]:
    """Score all methods on all cases, one case in memory at a time.

    ``single`` is what one network is worth: each member is scored for itself, and the scores are
    averaged over the members.

    Args:
        items: ``case_id`` and files.
        transform: the deterministic transforms.
        members: the ensemble.
        student: the student.
        device: where to compute.

    Returns:
        ``single``, ``deep_ensemble`` and ``student``, in this order.
    """
    results = {name: MethodScores() for name in ("single", "deep_ensemble", "student")}
    for number, item in enumerate(tqdm(items, desc="evaluation", unit="case")):
        case = prepare_case(item, transform, device)
        if number == 0:
            # The first call of a network pays for memory and kernels that later ones reuse.
            predict_case(case, members, student)
        predictions, student_probs, seconds = predict_case(case, members, student)
        for name, taken in seconds.items():
            results[name].seconds[case.case_id] = taken
        _add_single(results["single"], case, predictions)
        _add(results["deep_ensemble"], case, torch.stack(predictions).mean(dim=0))
        _add(results["student"], case, student_probs)
    return results


def _add(method: MethodScores, case: PreparedCase, probs: torch.Tensor) -> None:
    method.scores[case.case_id], bins = score_case(probs, case.label, case.mask)
    method.add_bins(bins)


def _add_single(
    method: MethodScores, case: PreparedCase, predictions: Sequence[torch.Tensor]
) -> None:
    scored = []
    for probs in predictions:
        scores, bins = score_case(probs, case.label, case.mask)
        scored.append(scores)
        method.add_bins(bins)
    method.scores[case.case_id] = {
        name: sum(scores[name] for scores in scored) / len(scored) for name in scored[0]
    }


def _timed(
    predictor: NetworkPredictor, member: int, image: torch.Tensor
) -> tuple[torch.Tensor, float]:
    _wait_for(image.device)
    start = time.perf_counter()
    probs = predictor.predict_member(member, image)
    _wait_for(image.device)
    return probs, time.perf_counter() - start


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
