"""The best, the median and the worst case, as a person wants to see them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from medkd.errors import InvalidValueError
from medkd.functional import entropy
from medkd.judging.pooled_prediction import predict
from medkd.judging.prepared_case import prepare_case
from medkd.judging.volume_pictures import planes_of
from medkd.reports import CasePicture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from medkd.judging.pooled_prediction import Prediction
    from medkd.predictors import Predictor

__all__ = ["pictures_of", "ranked_cases"]


def ranked_cases(scores: Mapping[str, float]) -> dict[str, str]:
    """Which case is the best, the median and the worst.

    Args:
        scores: by case; higher is better. Cases without a score (NaN) are left out.

    Returns:
        ``best``, ``median`` and ``worst`` to case ids; fewer where there are fewer cases.

    Example:
        >>> ranked_cases({"a": 0.5, "b": 0.9, "c": 0.7})
        {'best': 'b', 'median': 'c', 'worst': 'a'}
    """
    finite = {case_id: score for case_id, score in scores.items() if not math.isnan(score)}
    order = sorted(finite, key=lambda case_id: (-finite[case_id], case_id))
    ranks: dict[str, str] = {}
    for name, place in (("best", 0), ("worst", -1), ("median", len(order) // 2)):
        if order and order[place] not in ranks.values():
            ranks[name] = order[place]
    return {name: ranks[name] for name in ("best", "median", "worst") if name in ranks}


def pictures_of(
    items: Sequence[Mapping[str, Any]],
    scores: Mapping[str, float],
    *,
    transform: Callable[..., Any],
    picture: Callable[[Mapping[str, Any]], torch.Tensor | None],
    predictors: Mapping[str, Predictor],
    device: str | torch.device,
    members: Predictor | None = None,
) -> list[CasePicture]:
    """Predict the cases that are shown once more, and lay them out for the eye.

    Args:
        items: ``case_id`` and files.
        scores: by case, to rank them.
        transform: the deterministic transforms.
        picture: from an item to its image as it was taken, ``(C, width, height)`` of uint8; not
            asked for volumes.
        predictors: what is shown, by method name.
        device: where to compute.
        members: whose members' disagreement is shown, too; ``None`` for none.

    Returns:
        One picture a ranked case; of a volume three, one a plane, and none where the transforms
        leave no geometry.
    """
    by_id = {item["case_id"]: item for item in items}
    pictures: list[CasePicture] = []
    for title, case_id in ranked_cases(scores).items():
        case = prepare_case(by_id[case_id], transform, device)
        is_volume = case.image.dim() != 4  # (B, C, width, height)
        if is_volume and case.axcodes is None:
            return []
        shown, disagreement = {}, None
        for name, predictor in predictors.items():
            prediction = predict(predictor, case.image)
            maps = prediction.probs.max(dim=1).indices[0], entropy(prediction.probs)[0, 0]
            pred, unsure = (one.cpu().numpy() for one in maps)
            shown[name] = (pred, unsure) if is_volume else (pred.T, unsure.T)
            if predictor is members:
                disagreement = _disagreement(prediction)
        if members is not None and disagreement is None:
            disagreement = _disagreement(predict(members, case.image))
        if is_volume:
            pictures += planes_of(case, title, shown, disagreement=disagreement)
            continue
        pictures.append(
            CasePicture(
                case_id=case_id,
                title=title,
                image=_display(picture(by_id[case_id])),
                label=_upright(case.label[0, 0]),
                mask=None if case.mask is None else _upright(case.mask[0, 0]),
                methods=shown,
                disagreement=None if disagreement is None else disagreement.T,
            )
        )
    return pictures


def _disagreement(prediction: Prediction) -> np.ndarray:
    """Mutual information between prediction and member, ``(*spatial)``, in nats."""
    difference = entropy(prediction.probs) - prediction.expected_entropy
    return difference.clamp_min(0.0)[0, 0].cpu().numpy()


def _upright(map_: torch.Tensor) -> np.ndarray:
    """MONAI's (width, height) to rows and columns."""
    return map_.cpu().numpy().T


def _display(picture: torch.Tensor | None) -> np.ndarray:
    """The image as it was taken, ``(height, width)`` or ``(height, width, 3)``, in ``[0, 1]``."""
    if picture is None:
        raise InvalidValueError("Expected a picture with its colors, but none was read.")
    shades: np.ndarray = picture.numpy().astype(np.float32) / 255
    return shades[0].T if len(shades) == 1 else np.transpose(shades, (2, 1, 0))
