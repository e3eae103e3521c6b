"""Supervised InfoNCE between the features of a student and of its teachers, as a module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from medkd.functional import supervised_info_nce
from medkd.losses._feature_projections import FeatureProjections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.types import Label

__all__ = ["SupervisedInfoNCELoss"]


class SupervisedInfoNCELoss(FeatureProjections):
    """Draws the student's features to the teachers' features of the same class.

    Positions are drawn by class from the whole batch, see
    :func:`medkd.functional.sample_positions`; anchors are the student's features there, keys every
    teacher's, each through a linear projection of its own, which **is trained**: its parameters
    belong into the optimizer. Positives are the keys of the anchor's class, within and across
    images; with several teachers the loss is the mean over them. The mathematics is that of
    :func:`medkd.functional.supervised_info_nce`.

    Memory: a matrix of ``num_positions`` squared and twice ``num_positions`` embeddings, whatever
    the size of the features.

    Args:
        student_channels: of the student's feature map.
        teacher_channels: of each teacher's feature map.
        embedding_dim: of the common space.
        temperature: above zero; 0.4 or 0.1 in the paper.
        num_positions: the most positions that are drawn a step.

    Raises:
        ValueError: if a number is out of range; when called, if a feature map is of another batch,
            or has other channels or axes, than is expected.
        TypeError: if a number is of another type.

    Shape:
        - ``student_features``: ``(B, student_channels, *spatial)``
        - ``teacher_features``: one ``(B, teacher_channels, *spatial)`` a teacher, on any grid;
          detached here
        - ``label``: ``(B, 1, *spatial)`` on any grid, class indices
        - output: scalar, in nats

    Example:
        >>> _ = torch.manual_seed(0)
        >>> loss = SupervisedInfoNCELoss(4, [6], embedding_dim=8, num_positions=10)
        >>> features, label = torch.randn(2, 4, 5, 5), torch.zeros(2, 1, 10, 10)
        >>> round(loss(features, [torch.ones(2, 6, 3, 3)], label).item(), 4)  # ten keys alike
        2.3026

    References:
        R. Biswas. Multi-task multi-scale contrastive knowledge distillation for efficient medical
        image segmentation. arXiv:2406.03173, 2024. Its released code makes the projections anew in
        every step and knows no classes; here they are trained, and it is supervised as the paper
        says.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: Sequence[int],
        *,
        embedding_dim: int = 128,
        temperature: float = 0.1,
        num_positions: int = 1024,
    ) -> None:
        super().__init__(
            student_channels,
            teacher_channels,
            embedding_dim=embedding_dim,
            temperature=temperature,
            num_positions=num_positions,
        )

    def forward(
        self, student_features: Tensor, teacher_features: Sequence[Tensor], label: Label
    ) -> Tensor:
        """Scalar loss in nats; see the class."""
        anchors, teachers, classes = self._embeddings(student_features, teacher_features, label)
        terms = [
            supervised_info_nce(
                anchors,
                keys,
                anchor_classes=classes,
                key_classes=classes,
                temperature=self.temperature,
            )
            for keys in teachers
        ]
        return torch.stack(terms).mean()

    def extra_repr(self) -> str:
        """The configuration, for printing."""
        return f"temperature={self.temperature}, num_positions={self.num_positions}"
