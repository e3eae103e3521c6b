"""What a prediction says, as maps: where, how likely, how sure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.transforms.transform import MapTransform

from medkd.functional import entropy

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

__all__ = ["PredictionMapsd"]


class PredictionMapsd(MapTransform):
    """Probabilities ``(C, *spatial)`` of one case to three maps ``(1, *spatial)``.

    ``segmentation`` is the most likely class's index; ``probability`` that of any class but the
    background, in ``[0, 1]``; ``uncertainty`` the predictive entropy in nats, in ``[0, log C]``.

    Args:
        keys: the key of the probabilities, see :class:`~medkd.predictors.ProbabilitiesInferer`.

    Example:
        >>> probs = torch.tensor([0.5, 0.5]).view(2, 1, 1)
        >>> maps = PredictionMapsd("pred")({"pred": probs})
        >>> [round(float(maps[key]), 4) for key in ("probability", "uncertainty")]
        [0.5, 0.6931]
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Add the maps to the case."""
        item = dict(data)
        for key in self.key_iterator(item):
            probs = torch.as_tensor(item[key]).float()
            item["segmentation"] = probs.argmax(dim=0, keepdim=True)
            item["probability"] = 1.0 - probs[:1]
            item["uncertainty"] = entropy(probs.unsqueeze(0)).squeeze(0)
        return item
