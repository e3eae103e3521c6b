"""Contrastive representation distillation with memory banks, as a module."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError
from medkd.functional import contrastive_representation
from medkd.losses._feature_projections import FeatureProjections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.types import Label

__all__ = ["ContrastiveRepresentationLoss"]

_COMBINATIONS = ("mean", "each")


class ContrastiveRepresentationLoss(FeatureProjections):
    r"""Lets the student's features tell which of many teacher features is that of their position.

    Anchors are positions of the student's feature map, drawn so that every class has about the same
    number (:func:`medkd.functional.sample_positions`). The positive is the teacher's feature at the
    same position of the same image; negatives are drawn at random, without repetition, from a bank
    of the teacher's embeddings of earlier steps, the oldest of which are replaced; of a step that
    has more than the bank holds, as many are drawn. As in the paper the teacher's features are
    anchors in turn, with a bank of the student's. Both go through linear projections that **are
    trained**: their parameters belong into the optimizer, and the banks, which are buffers, into
    the checkpoint. The mathematics is that of
    :func:`medkd.functional.contrastive_representation`; the loss is the mean of both directions.

    An ensemble: features of different members have nothing in common, channel for channel, so each
    member has a projection of its own. With ``combine="mean"`` the members' embeddings, of unit
    length, are averaged and there is one bank; with ``"each"`` every member has a bank, and the
    loss is the mean over them.

    The constant :math:`Z` of each direction is estimated once, in the first step that has
    negatives, as the authors' released code does; it is a buffer, too.

    Memory: ``bank_size`` embeddings a bank, and a matrix of ``num_positions`` by
    ``num_negatives``, whatever the size of the features. In distributed training the banks are
    those of the main process, as all buffers are.

    Args:
        student_channels: of the student's feature map.
        teacher_channels: of each member's feature map.
        embedding_dim: of the common space; 128 in the paper.
        temperature: above zero; 0.07 in the paper.
        num_positions: the most positions that are drawn a step.
        num_negatives: the most negatives that are drawn a step, :math:`K`; 16,384 in the paper.
        bank_size: embeddings in a bank, :math:`M`, at least ``num_negatives``.
        combine: ``"mean"`` or ``"each"``.
        other_classes_only: leave out negatives of the anchor's class; in the paper all other
            samples are negatives. :math:`K` counts them all the same.

    Raises:
        ValueError: if a number is out of range, or ``combine`` unknown; when called, if a feature
            map is of another batch, or has other channels or axes, than is expected.
        TypeError: if a number is of another type.

    Shape:
        - ``student_features``: ``(B, student_channels, *spatial)``
        - ``teacher_features``: one ``(B, teacher_channels, *spatial)`` a member, on any grid;
          detached here
        - ``label``: ``(B, 1, *spatial)`` on any grid, class indices
        - output: scalar, in nats

    Example:
        >>> _ = torch.manual_seed(0)
        >>> loss = ContrastiveRepresentationLoss(
        ...     4, [6, 6], num_positions=8, num_negatives=16, bank_size=32
        ... )
        >>> label = torch.zeros(2, 1, 10, 10)
        >>> members = [torch.randn(2, 6, 3, 3) for _ in range(2)]
        >>> _ = loss(torch.randn(2, 4, 5, 5), members, label)
        >>> loss.num_stored.item()  # of the first step
        8

    References:
        Y. Tian, D. Krishnan, P. Isola. Contrastive representation distillation. ICLR 2020,
        arXiv:1910.10699; a bank of embeddings there has one place a training image. J. Fadugba et
        al. Uncertainty-aware retinal vessel segmentation via ensemble distillation.
        arXiv:2509.11689, 2025 (EnD-CRD), which leaves open how anchors are drawn and members
        combined: both are ours.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: Sequence[int],
        *,
        embedding_dim: int = 128,
        temperature: float = 0.07,
        num_positions: int = 512,
        num_negatives: int = 4096,
        bank_size: int = 16384,
        combine: str = "mean",
        other_classes_only: bool = False,
    ) -> None:
        super().__init__(
            student_channels,
            teacher_channels,
            embedding_dim=embedding_dim,
            temperature=temperature,
            num_positions=num_positions,
        )
        check_at_least(num_negatives, 1, "num_negatives")
        check_at_least(bank_size, num_negatives, "bank_size")
        if combine not in _COMBINATIONS:
            raise InvalidValueError(
                f"Expected `combine` to be one of {', '.join(_COMBINATIONS)}, but got {combine!r}."
            )
        self.num_negatives = num_negatives
        self.bank_size = bank_size
        self.combine = combine
        self.other_classes_only = other_classes_only
        num_banks = 1 if combine == "mean" else len(self.teacher_projections)
        self.register_buffer("teacher_banks", torch.zeros(num_banks, bank_size, embedding_dim))
        self.register_buffer("student_bank", torch.zeros(bank_size, embedding_dim))
        self.register_buffer("bank_classes", torch.zeros(bank_size, dtype=torch.long))
        self.register_buffer("num_stored", torch.zeros((), dtype=torch.long))  # ever, not at once
        # Of either direction; NaN until it is known.
        self.register_buffer("log_normalizers", torch.full((num_banks, 2), math.nan))

    def forward(
        self, student_features: Tensor, teacher_features: Sequence[Tensor], label: Label
    ) -> Tensor:
        """Scalar loss in nats; see the class. In training mode the banks take the step's in."""
        student, members, classes = self._embeddings(student_features, teacher_features, label)
        if self.combine == "mean":
            members = [torch.stack([_unit(member) for member in members]).mean(dim=0)]

        places = self._draw_negatives()
        negatives = cast("Tensor", self.bank_classes)[places]
        excluded = classes[:, None] == negatives[None] if self.other_classes_only else None
        student_bank = cast("Tensor", self.student_bank)[places]
        terms = []
        banks = cast("Tensor", self.teacher_banks)
        for member, bank, logs in zip(
            members, banks, cast("Tensor", self.log_normalizers), strict=True
        ):
            terms.append(self._contrast(student, member, bank[places], logs[0], excluded))
            terms.append(self._contrast(member, student, student_bank, logs[1], excluded))
        if self.training:
            self._store(student, members, classes)
        return torch.stack(terms).mean()

    def extra_repr(self) -> str:
        """The configuration, for printing."""
        return (
            f"temperature={self.temperature}, num_positions={self.num_positions}, "
            f"num_negatives={self.num_negatives}, bank_size={self.bank_size}, "
            f"combine={self.combine!r}, other_classes_only={self.other_classes_only}"
        )

    def _contrast(
        self,
        anchors: Tensor,
        positives: Tensor,
        negatives: Tensor,
        log_normalizer: Tensor,
        excluded: Tensor | None,
    ) -> Tensor:
        if log_normalizer.isnan() and len(negatives) > 0:
            estimate = self._estimate(anchors, negatives)
            if estimate.isfinite():
                log_normalizer.copy_(estimate)
        return contrastive_representation(
            anchors,
            positives,
            negatives,
            bank_size=self.bank_size,
            temperature=self.temperature,
            # A new tensor: another direction may write to the buffer before the backward pass.
            log_normalizer=log_normalizer.nan_to_num(nan=0.0),
            excluded=excluded,
        )

    @torch.no_grad()
    def _estimate(self, anchors: Tensor, negatives: Tensor) -> Tensor:
        """Logarithm of the bank's size times the mean exponential of what is compared."""
        # Autocast would multiply in half precision what is fixed for all of the training.
        with torch.autocast(anchors.device.type, enabled=False):
            scores = _unit(anchors) @ _unit(negatives).T / self.temperature
        return scores.flatten().logsumexp(dim=0) - math.log(scores.numel() / self.bank_size)

    def _draw_negatives(self) -> Tensor:
        stored = cast("Tensor", self.num_stored)
        filled = min(int(stored), self.bank_size)
        return torch.randperm(filled, device=stored.device)[: self.num_negatives]

    @torch.no_grad()
    def _store(self, student: Tensor, members: Sequence[Tensor], classes: Tensor) -> None:
        """The newest embeddings take the places of the oldest."""
        stored = cast("Tensor", self.num_stored)
        # What overflows in half precision costs one step; in the bank it would cost hundreds.
        finite = torch.stack([each.isfinite().all(dim=1) for each in (student, *members)])
        kept = finite.all(dim=0).nonzero().flatten()
        if len(kept) > self.bank_size:  # they come sorted by class: the first would be of one
            kept = kept[torch.randperm(len(kept), device=stored.device)[: self.bank_size]]
        places = (stored + torch.arange(len(kept), device=stored.device)) % self.bank_size
        student_bank = cast("Tensor", self.student_bank)
        student_bank[places] = _unit(student[kept]).to(student_bank.dtype)
        for bank, member in zip(cast("Tensor", self.teacher_banks), members, strict=True):
            bank[places] = _unit(member[kept]).to(bank.dtype)
        cast("Tensor", self.bank_classes)[places] = classes[kept]
        stored += len(kept)


def _unit(embeddings: Tensor) -> Tensor:
    wide = torch.promote_types(embeddings.dtype, torch.float32)
    return nn.functional.normalize(embeddings.to(wide), dim=1)
