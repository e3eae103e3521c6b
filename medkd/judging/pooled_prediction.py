"""One case's prediction by one predictor, members pooled one at a time."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from medkd.errors import FailureError
from medkd.functional import entropy, tempered_probs

if TYPE_CHECKING:
    from medkd.predictors import Predictor

__all__ = ["Prediction", "background_out_of", "predict", "tempered"]


@dataclass(frozen=True)
class Prediction:
    """What the scores of a case are computed from.

    Attributes:
        probs: mean over the members, ``(1, C, *spatial)``.
        expected_entropy: mean of the members' entropies in nats, ``(1, 1, *spatial)``.
        num_members: how many members were pooled, 1 or more.
        seconds: how long it took, on the device, without the pooling.
    """

    probs: torch.Tensor
    expected_entropy: torch.Tensor
    num_members: int
    seconds: float


def predict(predictor: Predictor, image: torch.Tensor) -> Prediction:
    """Predict one case; whatever the number of members, three maps are kept.

    Args:
        predictor: any source of probabilities.
        image: ``(1, C_in, *spatial)``, on the device.

    Returns:
        The pooled prediction.
    """
    probs: torch.Tensor | None = None
    expected_entropy: torch.Tensor | None = None
    num_members, seconds = 0, 0.0
    members = predictor.predict_members(image)
    while True:
        start = _now(image.device)
        member_probs = next(members, None)
        seconds += _now(image.device) - start
        if member_probs is None:
            break
        member_entropy = entropy(member_probs)
        if probs is None or expected_entropy is None:
            # A copy, for a predictor may hand out what it still needs.
            probs, expected_entropy = member_probs.clone(), member_entropy
        else:
            probs += member_probs
            expected_entropy += member_entropy
        num_members += 1
    if probs is None or expected_entropy is None:
        raise FailureError(f"Expected {type(predictor).__name__} to have a member, but got none.")
    return Prediction(probs / num_members, expected_entropy / num_members, num_members, seconds)


def background_out_of(view: torch.Tensor, prediction: Prediction) -> Prediction:
    """A prediction that is sure of the background wherever no answer is given.

    Args:
        view: bool ``(1, 1, *spatial)``, true where one is given.
        prediction: pooled members.

    Returns:
        The prediction, a copy.
    """
    probs = prediction.probs.where(view, 0.0)
    probs[:, :1] = probs[:, :1].where(view, 1.0)
    return replace(
        prediction,
        probs=probs,
        expected_entropy=prediction.expected_entropy.where(view, 0.0),
    )


def tempered(prediction: Prediction, temperature: float) -> Prediction:
    """The same prediction at a temperature, as :class:`medkd.predictors.TemperaturePredictor` says.

    Nothing is predicted again.

    Args:
        prediction: pooled members.
        temperature: above zero.

    Returns:
        A prediction of one member, which took as long and the tempering.
    """
    start = _now(prediction.probs.device)
    probs = tempered_probs(prediction.probs, temperature)
    seconds = _now(probs.device) - start
    return replace(
        prediction,
        probs=probs,
        expected_entropy=entropy(probs),
        num_members=1,
        seconds=prediction.seconds + seconds,
    )


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
