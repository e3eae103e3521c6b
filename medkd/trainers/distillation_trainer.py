"""One step of distillation, on MONAI's supervised engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai.utils.enums import CommonKeys

from medkd._checks import check_distillation_weight
from medkd.errors import FailureError
from medkd.trainers.loss_terms_trainer import LossTermsTrainer, over_heads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

__all__ = ["DistillationTrainer"]

_SOFT_LABEL = "soft_label"


class DistillationTrainer(LossTermsTrainer):
    r"""Trains a network on labels and on an ensemble's soft labels.

    .. math:: L = (1 - w)\, L_{label}(z, y) + w\, L_{distillation}(z, \bar p_T)

    where the soft label :math:`\bar p_T` is read with the batch (the teacher's price was paid once)
    or, when a ``teacher`` is given, computed on the very view that the student sees. With
    ``distillation_weight=0`` it is plain supervised training and neither is needed: that is how
    the members of an ensemble are trained.

    A network that returns several heads in training mode (deep supervision: a list, or MONAI's
    ``DynUNet`` stack ``(B, heads, C, *spatial)``) has every term computed at each head, weighted
    :math:`1, 1/2, 1/4, \ldots` and normalized to one.

    ``engine.state.output`` holds MONAI's ``image``, ``label``, ``pred`` and ``loss``, and
    ``loss_terms``: each term by name, unweighted, detached.

    Args:
        label_loss: ``(logits, label) -> scalar``, as MONAI's segmentation losses.
        distillation_loss: ``(logits, soft_label) -> scalar``; needed if the weight is above zero.
        distillation_weight: :math:`w` in ``[0, 1]``.
        teacher: a network ``image -> probabilities`` at the loss's temperature, or ``None`` to
            take the soft labels from the batch.
        soft_label_key: where the batch holds them, ``(B, C, *spatial)``.
        max_grad_norm: gradients are clipped to this norm; ``None`` leaves them as they are.
        **kwargs: MONAI's own arguments of
            :class:`monai.engines.SupervisedTrainer`; ``decollate`` is off unless asked for, for it
            costs as much as a step of a small network. ``accumulation_steps`` stays 1.

    Raises:
        ValueError: if the weight is outside ``[0, 1]``, or above zero without a distillation loss.

    References:
        G. Hinton, O. Vinyals, J. Dean. Distilling the knowledge in a neural network.
        arXiv:1503.02531, 2015. The ensemble form: J. Fadugba et al. Uncertainty-aware retinal
        vessel segmentation via ensemble distillation. arXiv:2509.11689, 2025 (EnD-KL).
    """

    def __init__(
        self,
        *,
        label_loss: nn.Module,
        distillation_loss: nn.Module | None = None,
        distillation_weight: float = 0.5,
        teacher: nn.Module | None = None,
        soft_label_key: str = _SOFT_LABEL,
        max_grad_norm: float | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed to MONAI's engine
    ) -> None:
        check_distillation_weight(distillation_weight, distillation_loss)
        self.distillation_loss = distillation_loss
        self.distillation_weight = distillation_weight
        self.teacher = teacher
        self.soft_label_key = soft_label_key
        super().__init__(label_loss=label_loss, max_grad_norm=max_grad_norm, **kwargs)

    def _taken(self, batchdata: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        taken = super()._taken(batchdata)
        if self.distillation_weight > 0:
            taken[_SOFT_LABEL] = self._soft_label(taken[CommonKeys.IMAGE], batchdata)
        return taken

    def _soft_label(self, image: torch.Tensor, batchdata: Mapping[str, Any]) -> torch.Tensor:
        if self.teacher is not None:
            return self.teacher(image)
        if self.soft_label_key not in batchdata:
            raise FailureError(
                f"Expected the batch to hold soft labels as `{self.soft_label_key}`, or a "
                f"`teacher` to compute them, but got {sorted(map(str, batchdata))} and no teacher."
            )
        return self._on_device(batchdata[self.soft_label_key])

    def _loss_terms(
        self, heads: Sequence[Sequence[torch.Tensor]], taken: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        terms = {"label": over_heads(self.label_loss, heads[0], taken[CommonKeys.LABEL])}
        if self.distillation_loss is not None and _SOFT_LABEL in taken:
            terms["distillation"] = over_heads(self.distillation_loss, heads[0], taken[_SOFT_LABEL])
        return terms

    def _weighted(self, terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
        if "distillation" not in terms:
            return terms["label"]
        weight = self.distillation_weight
        return (1.0 - weight) * terms["label"] + weight * terms["distillation"]
