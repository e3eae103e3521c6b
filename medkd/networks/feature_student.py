"""A student and what its features are compared by, as one module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from medkd.errors import InvalidValueError
from medkd.networks.feature_taps import FeatureTaps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["FeatureStudent"]


class FeatureStudent(nn.Module):
    """A network that in training also says how far its features are from its teachers'.

    The losses, whose projections are trained, are within the module: one optimizer takes the
    parameters of the whole, one checkpoint holds projections and memory banks, and
    ``DistributedDataParallel`` averages all gradients. In evaluation mode the network alone
    answers: what is validated and shipped is the network.

    Args:
        network: the student.
        features: name to the path of a module of the network, see
            :class:`~medkd.networks.FeatureTaps`.
        losses: name to ``(student_features, teacher_features, label) -> scalar``, one for each
            feature.

    Shape:
        - image: ``(B, C_in, *spatial)``
        - label, in training mode: ``(B, 1, *spatial)``
        - teacher_features, in training mode: name to one ``(B, C_t, *spatial_t)`` a teacher
        - returns in training mode: the network's output, and name to loss; of no feature, the
          output alone
        - returns in evaluation mode: the network's output

    Raises:
        ValueError: if features and losses have other names, or a path does not exist.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 2, 1))
        >>> class Distance(nn.Module):
        ...     def forward(self, student, teachers, label):
        ...         return sum((student - teacher).square().mean() for teacher in teachers)
        >>> student = FeatureStudent(network, {"inner": "0"}, {"inner": Distance()})
        >>> image = torch.zeros(1, 1, 3, 3)
        >>> inner = network[0](image)
        >>> logits, terms = student(image, image, {"inner": [inner, inner]})
        >>> terms["inner"].item()
        0.0
    """

    def __init__(
        self, network: nn.Module, features: Mapping[str, str], losses: Mapping[str, nn.Module]
    ) -> None:
        super().__init__()
        if sorted(features) != sorted(losses):
            raise InvalidValueError(
                f"Expected one of `losses` for each of `features`, {sorted(features)}, but got "
                f"{sorted(losses)}."
            )
        self.taps = FeatureTaps(network, features)
        self.losses = nn.ModuleDict(losses)

    def forward(
        self,
        image: Tensor,
        label: Tensor | None = None,
        teacher_features: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the network gives
        """The network's output; in training mode with the features' losses by name."""
        if not self.training or not self.losses:
            return self.taps.network(image)
        if label is None or teacher_features is None:
            raise InvalidValueError(
                "Expected `label` and `teacher_features` in training mode, but got none."
            )
        output, features = self.taps(image)
        return output, {
            name: self.losses[name](feature, teacher_features[name], label)
            for name, feature in features.items()
        }
