"""One step of training by a loss of several terms, on MONAI's supervised engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from monai.data.meta_tensor import MetaTensor
from monai.engines.trainer import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.engines.workflow import Workflow
from monai.utils.enums import CommonKeys
from torch import nn

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LossTermsTrainer", "heads_of", "over_heads"]

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class LossTermsTrainer(SupervisedTrainer, ABC):
    """What the trainers have in common: the step, and the terms of its loss by their names.

    A trainer derived from it says what it takes from a batch, which networks answer, what the terms
    are and how they are weighted: :meth:`_taken`, :meth:`_heads_of_networks`, :meth:`_loss_terms`,
    :meth:`_weighted`.

    ``engine.state.output`` holds MONAI's ``image``, ``label``, ``pred`` and ``loss``, and
    ``loss_terms``: each term by name, unweighted, detached.

    Args:
        label_loss: ``(logits, label) -> scalar``, as MONAI's segmentation losses.
        max_grad_norm: the gradients of each trained network are clipped to this norm; ``None``
            leaves them as they are.
        **kwargs: MONAI's own arguments of
            :class:`monai.engines.SupervisedTrainer`; ``decollate`` is off unless asked for, for it
            costs as much as a step of a small network. ``accumulation_steps`` stays 1.

    Raises:
        ValueError: if gradients are to be accumulated, or a batch to be prepared by another.
    """

    def __init__(
        self,
        *,
        label_loss: nn.Module,
        max_grad_norm: float | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed to MONAI's engine
    ) -> None:
        if kwargs.get("accumulation_steps", 1) != 1:
            raise InvalidValueError(
                "Expected `accumulation_steps` to be 1, for every step of this trainer updates the "
                f"weights, but got {kwargs['accumulation_steps']}."
            )
        for name in sorted({"prepare_batch", "to_kwargs"} & kwargs.keys()):
            raise InvalidValueError(
                f"Expected no `{name}`, for this trainer takes a batch apart by its keys, but got "
                f"{kwargs[name]!r}."
            )
        self.label_loss = label_loss
        self.max_grad_norm = max_grad_norm
        super().__init__(loss_function=label_loss, **{"decollate": False, **kwargs})

    def run(self) -> None:
        """Train; on a GPU with ``amp``, gradients are scaled against underflow."""
        # MONAI makes the scaler by a name that torch has deprecated, and for CUDA on a CPU, too.
        kind = self.state.device.type
        self.scaler = torch.amp.GradScaler(kind, enabled=kind == "cuda") if self.amp else None
        Workflow.run(self)

    def _taken(self, batchdata: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """The tensors of a batch that the step needs, on the device: image, label, and others."""
        return {
            key: self._on_device(batchdata[key]) for key in (CommonKeys.IMAGE, CommonKeys.LABEL)
        }

    def _heads_of_networks(
        self, engine: SupervisedTrainer, taken: dict[str, torch.Tensor]
    ) -> list[Sequence[torch.Tensor]]:
        """The heads of each network that answers; the labeled images come first in their batch.

        What else the networks say may be put into ``taken``, which lives for one step.
        """
        logits = engine.inferer(taken[CommonKeys.IMAGE], engine.network)
        return [heads_of(logits, taken[CommonKeys.LABEL])]

    @abstractmethod
    def _loss_terms(
        self, heads: Sequence[Sequence[torch.Tensor]], taken: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Each term by its name, unweighted."""

    @abstractmethod
    def _weighted(self, terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The loss: the terms, weighted and summed."""

    def _trained_networks(self) -> Sequence[nn.Module]:
        """The networks whose gradients are clipped, each by itself."""
        return [self.network]

    def _iteration(self, engine: SupervisedTrainer, batchdata: dict[str, Any]) -> dict[str, Any]:
        taken = self._taken(batchdata)
        image, label = taken[CommonKeys.IMAGE], taken[CommonKeys.LABEL]
        output: dict[str, Any] = {CommonKeys.IMAGE: image, CommonKeys.LABEL: label}
        engine.state.output = output

        engine.network.train()
        engine.optimizer.zero_grad(set_to_none=engine.optim_set_to_none)
        with torch.autocast(image.device.type, enabled=bool(engine.amp), **engine.amp_kwargs):
            heads = self._heads_of_networks(engine, taken)
            output[CommonKeys.PRED] = heads[0][0][: len(image)]
            engine.fire_event(IterationEvents.FORWARD_COMPLETED)
            terms = self._loss_terms(heads, taken)
            output[CommonKeys.LOSS] = self._weighted(terms)
            engine.fire_event(IterationEvents.LOSS_COMPLETED)
        self._step(engine, output[CommonKeys.LOSS])
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return _with_terms(engine.state.output, terms)

    def _on_device(self, tensor: torch.Tensor) -> torch.Tensor:
        # Plain tensors: MetaTensor's bookkeeping costs more than a small network's operations.
        plain = tensor.as_tensor() if isinstance(tensor, MetaTensor) else tensor
        return plain.to(self.state.device, non_blocking=self.non_blocking)

    def _step(self, engine: SupervisedTrainer, loss: torch.Tensor) -> None:
        scaler = engine.scaler
        (loss if scaler is None else scaler.scale(loss)).backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        if self.max_grad_norm is not None:
            if scaler is not None:
                scaler.unscale_(engine.optimizer)
            for network in self._trained_networks():
                torch.nn.utils.clip_grad_norm_(network.parameters(), self.max_grad_norm)
        if scaler is None:
            engine.optimizer.step()
        else:
            scaler.step(engine.optimizer)
            scaler.update()


def heads_of(
    logits: torch.Tensor | Sequence[torch.Tensor], label: torch.Tensor
) -> Sequence[torch.Tensor]:
    """The heads of a network's output, the one of full resolution first, each on the label's grid.

    Args:
        logits: ``(B, C, *spatial)``, a list of such of any resolutions, or MONAI's ``DynUNet``
            stack ``(B, heads, C, *spatial)``.
        label: ``(B, 1, *spatial)``; only its number of axes and its grid matter.

    Returns:
        One tensor ``(B, C, *spatial)`` a head.
    """
    if isinstance(logits, torch.Tensor):
        stacked = logits.dim() == label.dim() + 1
        return torch.unbind(logits, dim=1) if stacked else [logits]
    size = label.shape[2:]
    mode = _LINEAR[len(size)]
    return [
        head if head.shape[2:] == size else nn.functional.interpolate(head, size=size, mode=mode)
        for head in logits
    ]


def over_heads(
    loss: nn.Module, heads: Sequence[torch.Tensor], target: torch.Tensor
) -> torch.Tensor:
    r"""A loss at each head, weighted :math:`1, 1/2, 1/4, \ldots` and normalized to one.

    Args:
        loss: ``(logits, target) -> scalar``.
        heads: see :func:`heads_of`.
        target: what the loss compares each head with.

    Returns:
        Scalar.
    """
    total = 2.0 - 0.5 ** (len(heads) - 1)
    return torch.stack([0.5**i / total * loss(h, target) for i, h in enumerate(heads)]).sum()


def _with_terms(output: Any, terms: dict[str, torch.Tensor]) -> Any:  # noqa: ANN401 - as the engine's
    """The engine's output, which decollation may have made a list, with the terms in it.

    They are added last, for decollation would split their dictionary as if it were a batch.
    """
    for case in output if isinstance(output, list) else [output]:
        case["loss_terms"] = {name: term.detach() for name, term in terms.items()}
    return output
