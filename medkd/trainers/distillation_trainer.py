"""One step of distillation, on MONAI's supervised engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.data.meta_tensor import MetaTensor
from monai.engines.trainer import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.engines.workflow import Workflow
from monai.utils.enums import CommonKeys
from torch import nn

from medkd._checks import check_distillation_weight

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DistillationTrainer"]

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class DistillationTrainer(SupervisedTrainer):
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
        soft_label_key: str = "soft_label",
        max_grad_norm: float | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed to MONAI's engine
    ) -> None:
        check_distillation_weight(distillation_weight, distillation_loss)
        if kwargs.get("accumulation_steps", 1) != 1:
            raise ValueError(
                "Expected `accumulation_steps` to be 1, for every step of this trainer updates the "
                f"weights, but got {kwargs['accumulation_steps']}."
            )
        for name in sorted({"prepare_batch", "to_kwargs"} & kwargs.keys()):
            raise ValueError(
                f"Expected no `{name}`, for this trainer takes a batch apart by its keys, but got "
                f"{kwargs[name]!r}."
            )
        self.label_loss = label_loss
        self.distillation_loss = distillation_loss
        self.distillation_weight = distillation_weight
        self.teacher = teacher
        self.soft_label_key = soft_label_key
        self.max_grad_norm = max_grad_norm
        super().__init__(loss_function=label_loss, **{"decollate": False, **kwargs})

    def run(self) -> None:
        """Train; on a GPU with ``amp``, gradients are scaled against underflow."""
        # MONAI makes the scaler by a name that torch has deprecated, and for CUDA on a CPU, too.
        kind = self.state.device.type
        self.scaler = torch.amp.GradScaler(kind, enabled=kind == "cuda") if self.amp else None
        Workflow.run(self)

    def _iteration(self, engine: SupervisedTrainer, batchdata: dict[str, Any]) -> dict[str, Any]:
        image = self._on_device(batchdata[CommonKeys.IMAGE])
        label = self._on_device(batchdata[CommonKeys.LABEL])
        soft_label = self._soft_label(image, batchdata) if self.distillation_weight > 0 else None
        output: dict[str, Any] = {CommonKeys.IMAGE: image, CommonKeys.LABEL: label}
        engine.state.output = output

        engine.network.train()
        engine.optimizer.zero_grad(set_to_none=engine.optim_set_to_none)
        with torch.autocast(image.device.type, enabled=bool(engine.amp), **engine.amp_kwargs):
            heads = _heads(engine.inferer(image, engine.network), label)
            output[CommonKeys.PRED] = heads[0]
            engine.fire_event(IterationEvents.FORWARD_COMPLETED)
            terms = self._loss_terms(heads, label, soft_label)
            output[CommonKeys.LOSS] = self._weighted(terms)
            engine.fire_event(IterationEvents.LOSS_COMPLETED)
        self._step(engine, output[CommonKeys.LOSS])
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return _with_terms(engine.state.output, terms)

    def _on_device(self, tensor: torch.Tensor) -> torch.Tensor:
        # Plain tensors: MetaTensor's bookkeeping costs more than a small network's operations.
        plain = tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
        return plain.to(self.state.device, non_blocking=self.non_blocking)

    def _soft_label(self, image: torch.Tensor, batchdata: dict[str, Any]) -> torch.Tensor:
        if self.teacher is not None:
            return self.teacher(image)
        if self.soft_label_key not in batchdata:
            raise RuntimeError(
                f"Expected the batch to hold soft labels as `{self.soft_label_key}`, or a "
                f"`teacher` to compute them, but got {sorted(map(str, batchdata))} and no teacher."
            )
        return self._on_device(batchdata[self.soft_label_key])

    def _loss_terms(
        self, heads: Sequence[torch.Tensor], label: torch.Tensor, soft_label: torch.Tensor | None
    ) -> dict[str, torch.Tensor]:
        total = 2.0 - 0.5 ** (len(heads) - 1)

        def over_heads(loss: nn.Module, target: torch.Tensor) -> torch.Tensor:
            return torch.stack(
                [0.5**i / total * loss(h, target) for i, h in enumerate(heads)]
            ).sum()

        terms = {"label": over_heads(self.label_loss, label)}
        if soft_label is not None and self.distillation_loss is not None:
            terms["distillation"] = over_heads(self.distillation_loss, soft_label)
        return terms

    def _weighted(self, terms: dict[str, torch.Tensor]) -> torch.Tensor:
        if "distillation" not in terms:
            return terms["label"]
        weight = self.distillation_weight
        return (1.0 - weight) * terms["label"] + weight * terms["distillation"]

    def _step(self, engine: SupervisedTrainer, loss: torch.Tensor) -> None:
        scaler = engine.scaler
        (loss if scaler is None else scaler.scale(loss)).backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if self.max_grad_norm is not None:
            if scaler is not None:
                scaler.unscale_(engine.optimizer)
            torch.nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_grad_norm)
        if scaler is None:
            engine.optimizer.step()
        else:
            scaler.step(engine.optimizer)
            scaler.update()


def _with_terms(output: Any, terms: dict[str, torch.Tensor]) -> Any:  # noqa: ANN401 - as the engine's
    """The engine's output, which decollation may have made a list, with the terms in it.

    They are added last, for decollation would split their dictionary as if it were a batch.
    """
    for case in output if isinstance(output, list) else [output]:
        case["loss_terms"] = {name: term.detach() for name, term in terms.items()}
    return output


def _heads(
    logits: torch.Tensor | Sequence[torch.Tensor], label: torch.Tensor
) -> Sequence[torch.Tensor]:
    """The network's heads, the one of full resolution first, each on the label's grid."""
    if isinstance(logits, torch.Tensor):
        stacked = logits.dim() == label.dim() + 1
        return torch.unbind(logits, dim=1) if stacked else [logits]
    size = label.shape[2:]
    mode = _LINEAR[len(size)]
    return [
        head if head.shape[2:] == size else nn.functional.interpolate(head, size=size, mode=mode)
        for head in logits
    ]
