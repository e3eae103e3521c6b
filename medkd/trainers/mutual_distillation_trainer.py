"""One step of networks that learn from labels and from each other, on MONAI's supervised engine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from monai.utils.enums import CommonKeys
from torch.nn.parallel import DistributedDataParallel

from medkd.errors import InvalidTypeError, InvalidValueError
from medkd.functional import entropy
from medkd.networks import MeanTeacher, PeerNetworks
from medkd.trainers.loss_terms_trainer import LossTermsTrainer, heads_of, over_heads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monai.engines.trainer import SupervisedTrainer
    from torch import nn

__all__ = ["MutualDistillationTrainer"]

_UNLABELED = "unlabeled_image"


class MutualDistillationTrainer(LossTermsTrainer):
    r"""Trains networks on few labels and, by what they say to each other, on unlabeled images.

    .. math:: L = \sum_k L_{label}(z_k^{labeled}, y) + \lambda(t)\, L_{mutual}(z_1, \ldots, z_M)

    The label loss is that of every network that is trained, on the labeled images of the batch; the
    mutual loss is that of all networks on all its images. A batch without unlabeled images is
    mutual learning on labels. The weight :math:`\lambda` is constant, or ramps up over the first
    epochs as :math:`\lambda \exp(-5 (1 - t / t_{ramp})^2)`, with :math:`t` in epochs and a fraction
    for every step. With ``mutual_weight=0`` unlabeled images are not looked at, and each network is
    trained as if it were alone.

    A network that returns several heads in training mode (deep supervision) has the label loss at
    each of them, as in :class:`DistillationTrainer`, and the mutual loss at full resolution.

    ``engine.state.output`` holds MONAI's ``image``, ``label``, ``pred`` (of the student, on labeled
    images) and ``loss``, and ``loss_terms``: ``label_1``, ``label_2``, ..., ``mutual``, unweighted
    and detached, and ``predictive_entropy``, which is no part of the loss: that of the student's
    probabilities, in nats, as a mean over the voxels of all images that it was shown.

    Args:
        network: the networks, the student first.
        label_loss: ``(logits, label) -> scalar``, as MONAI's segmentation losses.
        mutual_loss: ``(M, B, C, *spatial) -> scalar``; needed if the weight is above zero.
        mutual_weight: :math:`\lambda`, zero or more; 4 in the paper.
        ramp_up_epochs: :math:`t_{ramp}`; 0, as in the paper, for a constant weight.
        unlabeled_key: where the batch holds unlabeled images, of the channels and the grid of the
            labeled ones.
        max_grad_norm: the gradients of each trained network are clipped to this norm, so that none
            is slowed down by another; ``None`` leaves them as they are.
        **kwargs: MONAI's own arguments of
            :class:`monai.engines.SupervisedTrainer`; ``decollate`` is off unless asked for.
            ``accumulation_steps`` stays 1.

    Raises:
        ValueError: if the weight or the ramp is below zero, or the weight is above zero without a
            mutual loss or with a single network.
        TypeError: if ``network`` is another module.

    References:
        Y. Xie, Y. Yin, Q. Li, Y. Wang. Deep mutual distillation for semi-supervised medical image
        segmentation. MICCAI 2023, LNCS 14222, 540-550. The ramp: S. Laine, T. Aila. Temporal
        ensembling for semi-supervised learning. ICLR 2017, arXiv:1610.02242, appendix A.
    """

    def __init__(
        self,
        *,
        network: PeerNetworks | MeanTeacher,
        label_loss: nn.Module,
        mutual_loss: nn.Module | None = None,
        mutual_weight: float = 4.0,
        ramp_up_epochs: float = 0,
        unlabeled_key: str = _UNLABELED,
        max_grad_norm: float | None = None,
        **kwargs: Any,  # noqa: ANN401 - handed to MONAI's engine
    ) -> None:
        _check_network(network)
        _check_not_negative(mutual_weight, "mutual_weight")
        _check_not_negative(ramp_up_epochs, "ramp_up_epochs")
        if mutual_weight > 0:
            _check_mutual(mutual_weight, mutual_loss, network)
        self.mutual_loss = mutual_loss
        self.mutual_weight = mutual_weight
        self.ramp_up_epochs = ramp_up_epochs
        self.unlabeled_key = unlabeled_key
        super().__init__(
            network=network, label_loss=label_loss, max_grad_norm=max_grad_norm, **kwargs
        )

    def _taken(self, batchdata: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        taken = super()._taken(batchdata)
        if self.mutual_weight > 0 and self.unlabeled_key in batchdata:
            unlabeled, image = batchdata[self.unlabeled_key], taken[CommonKeys.IMAGE]
            if unlabeled.shape[1:] != image.shape[1:]:
                raise InvalidValueError(
                    f"Expected `{self.unlabeled_key}` of the channels and the grid of `image`, "
                    f"{tuple(image.shape[1:])}, but got {tuple(unlabeled.shape[1:])}."
                )
            taken[_UNLABELED] = self._on_device(unlabeled)
        return taken

    def _heads_of_networks(
        self, engine: SupervisedTrainer, taken: dict[str, torch.Tensor]
    ) -> list[Sequence[torch.Tensor]]:
        images = [taken[key] for key in (CommonKeys.IMAGE, _UNLABELED) if key in taken]
        # One forward of all, so that a batch norm sees labeled and unlabeled images together.
        outputs = engine.inferer(torch.cat(images), engine.network)
        return [heads_of(output, taken[CommonKeys.LABEL]) for output in outputs]

    def _loss_terms(
        self, heads: Sequence[Sequence[torch.Tensor]], taken: Mapping[str, torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        label = taken[CommonKeys.LABEL]
        terms = {
            f"label_{k}": over_heads(self.label_loss, [h[: len(label)] for h in own], label)
            for k, own in enumerate(heads[: self._peers.num_trained], start=1)
        }
        if self.mutual_loss is not None and self.mutual_weight > 0:
            terms["mutual"] = self.mutual_loss(torch.stack([own[0] for own in heads]))
        student_logits = heads[0][0].detach()
        student_probs = torch.softmax(student_logits, dim=1, dtype=torch.float32)
        terms["predictive_entropy"] = entropy(student_probs).mean()
        return terms

    def _weighted(self, terms: Mapping[str, torch.Tensor]) -> torch.Tensor:
        trained = range(1, self._peers.num_trained + 1)
        loss = torch.stack([terms[f"label_{k}"] for k in trained]).sum()
        return loss + self._current_weight() * terms["mutual"] if "mutual" in terms else loss

    def _current_weight(self) -> float:
        if self.ramp_up_epochs == 0:
            return self.mutual_weight
        epochs = (self.state.iteration - 1) / self.state.epoch_length
        missing = max(1.0 - epochs / self.ramp_up_epochs, 0.0)
        return self.mutual_weight * math.exp(-5.0 * missing**2)

    def _trained_networks(self) -> Sequence[nn.Module]:
        return self._peers.networks[: self._peers.num_trained]

    def _step(self, engine: SupervisedTrainer, loss: torch.Tensor) -> None:
        super()._step(engine, loss)
        self._peers.after_step()

    @property
    def _peers(self) -> PeerNetworks | MeanTeacher:
        network = self.network  # wrapped while several processes train it
        return network.module if isinstance(network, DistributedDataParallel) else network


def _check_network(network: object) -> None:
    if not isinstance(network, PeerNetworks | MeanTeacher):
        raise InvalidTypeError(
            "Expected `network` to be PeerNetworks or a MeanTeacher, but got "
            f"{type(network).__name__}."
        )


def _check_not_negative(value: float, name: str) -> None:
    if not (math.isfinite(value) and value >= 0):
        raise InvalidValueError(
            f"Expected `{name}` to be finite and zero or more, but got {value}."
        )


def _check_mutual(
    mutual_weight: float, mutual_loss: nn.Module | None, network: PeerNetworks | MeanTeacher
) -> None:
    if mutual_loss is None:
        raise InvalidValueError(
            "Expected `mutual_loss` when `mutual_weight` is above zero, but got None with a weight "
            f"of {mutual_weight}."
        )
    if len(network.networks) < 2:
        raise InvalidValueError(
            "Expected `network` to hold at least two networks when `mutual_weight` is above zero, "
            f"but got one with a weight of {mutual_weight}."
        )
