"""One step of distillation of outputs and features, on MONAI's supervised engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from monai.utils.enums import CommonKeys

from medkd.trainers.distillation_trainer import DistillationTrainer
from medkd.trainers.loss_terms_trainer import heads_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from monai.engines.trainer import SupervisedTrainer
    from torch import nn

__all__ = ["FeatureDistillationTrainer"]

_FEATURE = "feature:"  # before the name of a feature's loss among what a step has taken


class FeatureDistillationTrainer(DistillationTrainer):
    r"""Trains a network on labels, on soft labels, and on its teachers' features.

    .. math::
        L = (1 - w)\, L_{label} + w\, L_{distillation} + \sum_k \beta_k\, L_k

    The first two terms are those of :class:`~medkd.trainers.DistillationTrainer`; :math:`L_k`
    compares the features of name :math:`k` inside the student with those inside the teachers, which
    run in every step on the view that the student sees.

    Args:
        feature_teacher: ``image -> {name: [features of each teacher]}``, such as
            :class:`medkd.ensembles.FeatureTeacher`; ``None`` to train a plain network without
            features, as members are.
        feature_weights: :math:`\beta_k` by the name of the feature, each finite and zero or more.
        **kwargs: those of :class:`~medkd.trainers.DistillationTrainer`. With a teacher,
            ``network`` is a :class:`medkd.networks.FeatureStudent`, whose optimizer takes the
            projections, too.

    Raises:
        ValueError: if a weight is out of range; in a step, if the network has features of other
            names.

    References:
        EnD-CRD: J. Fadugba et al. arXiv:2509.11689, 2025. MTMS-KD: R. Biswas. arXiv:2406.03173,
        2024, with the weights 0.4 label, 0.2 outputs, 0.2 bottleneck, 0.1 encoder, 0.1 decoder.
    """

    def __init__(
        self,
        *,
        feature_teacher: nn.Module | None = None,
        feature_weights: Mapping[str, float] | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed to the parent
    ) -> None:
        self.feature_teacher = feature_teacher
        self.feature_weights = dict(feature_weights or {})
        for name, weight in self.feature_weights.items():
            if not (math.isfinite(weight) and weight >= 0):
                raise ValueError(
                    f"Expected `feature_weights` to be finite and zero or more, but got {weight} "
                    f"for {name!r}."
                )
        super().__init__(**kwargs)

    def _heads_of_networks(
        self, engine: SupervisedTrainer, taken: dict[str, torch.Tensor]
    ) -> list[Sequence[torch.Tensor]]:
        if self.feature_teacher is None:
            return super()._heads_of_networks(engine, taken)
        image, label = taken[CommonKeys.IMAGE], taken[CommonKeys.LABEL]
        output, terms = engine.inferer(
            image, engine.network, label=label, teacher_features=self.feature_teacher(image)
        )
        if sorted(terms) != sorted(self.feature_weights):
            raise ValueError(
                f"Expected `feature_weights` for the features {sorted(terms)}, but got "
                f"{sorted(self.feature_weights)}."
            )
        taken.update({f"{_FEATURE}{name}": term for name, term in terms.items()})
        return [heads_of(output, label)]

    def _loss_terms(
        self, heads: Sequence[Sequence[torch.Tensor]], taken: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        features = {
            name.removeprefix(_FEATURE): term
            for name, term in taken.items()
            if name.startswith(_FEATURE)
        }
        return {**super()._loss_terms(heads, taken), **features}

    def _weighted(self, terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
        loss = super()._weighted(terms)
        for name, weight in self.feature_weights.items():
            if name in terms:
                loss = loss + weight * terms[name]
        return loss
