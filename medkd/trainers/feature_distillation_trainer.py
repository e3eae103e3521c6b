"""One step of training with losses that a network computes itself, such as those of features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai.utils.enums import CommonKeys

from medkd._checks import check_weights
from medkd.errors import InvalidValueError
from medkd.trainers.distillation_trainer import DistillationTrainer
from medkd.trainers.loss_terms_trainer import heads_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from monai.engines.trainer import SupervisedTrainer
    from torch import nn

__all__ = ["FeatureDistillationTrainer"]

_OWN = "own:"  # before the name of a network's own loss among what a step has taken


class FeatureDistillationTrainer(DistillationTrainer):
    r"""Trains a network on labels, on soft labels, and on losses that it computes itself.

    .. math::
        L = (1 - w)\, L_{label} + w\, L_{distillation} + \sum_k \beta_k\, L_k

    The first two terms are those of :class:`~medkd.trainers.DistillationTrainer`; the network says
    :math:`L_k` by name beside its output. A :class:`medkd.networks.FeatureStudent` compares its
    features with its teachers', which run in every step on the view that the student sees; a
    :class:`medkd.networks.TwoTaskNetwork`, which teaches such students, has no teacher but gives
    back its image.

    Args:
        feature_teacher: ``image -> {name: [features of each teacher]}``, such as
            :class:`medkd.teachers.FeatureTeacher`; ``None`` for a network that has no teacher.
        own_weights: :math:`\beta_k` by the name of the network's own loss, each finite and zero or
            more; one of weight zero is not computed. Without any, ``network`` is a plain one, as
            members are.
        **kwargs: those of :class:`~medkd.trainers.DistillationTrainer`. The optimizer takes what
            ``network`` holds besides, too: projections, a second decoder.

    Raises:
        ValueError: if a weight is out of range; in a step, if the network has losses of other
            names.

    References:
        EnD-CRD: J. Fadugba et al. arXiv:2509.11689, 2025. MTMS-KD: R. Biswas. arXiv:2406.03173,
        2024, with the weights 0.4 label, 0.2 outputs, 0.2 bottleneck, 0.1 encoder, 0.1 decoder.
    """

    def __init__(
        self,
        *,
        feature_teacher: nn.Module | None = None,
        own_weights: Mapping[str, float] | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed to the parent
    ) -> None:
        self.feature_teacher = feature_teacher
        check_weights(own_weights or {}, "own_weights")
        self.own_weights = {name: w for name, w in (own_weights or {}).items() if w > 0}
        super().__init__(**kwargs)

    def _heads_of_networks(
        self, engine: SupervisedTrainer, taken: dict[str, torch.Tensor]
    ) -> list[Sequence[torch.Tensor]]:
        if not self.own_weights:
            return super()._heads_of_networks(engine, taken)
        image, label = taken[CommonKeys.IMAGE], taken[CommonKeys.LABEL]
        compared: dict[str, Any] = {}
        if self.feature_teacher is not None:
            compared = {"label": label, "teacher_features": self.feature_teacher(image)}
        output, terms = engine.inferer(image, engine.network, **compared)
        if sorted(terms) != sorted(self.own_weights):
            raise InvalidValueError(
                f"Expected `own_weights` for the network's losses {sorted(terms)}, but got "
                f"{sorted(self.own_weights)}."
            )
        taken.update({f"{_OWN}{name}": term for name, term in terms.items()})
        return [heads_of(output, label)]

    def _loss_terms(
        self, heads: Sequence[Sequence[torch.Tensor]], taken: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        own = {
            name.removeprefix(_OWN): term for name, term in taken.items() if name.startswith(_OWN)
        }
        return {**super()._loss_terms(heads, taken), **own}

    def _weighted(self, terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
        loss = super()._weighted(terms)
        for name, weight in self.own_weights.items():
            loss = loss + weight * terms[name]
        return loss
