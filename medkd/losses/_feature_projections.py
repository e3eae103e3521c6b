"""What the losses of features have in common: positions that are drawn, projections that learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from medkd._checks import check_at_least, check_positive
from medkd.errors import InvalidValueError
from medkd.functional import features_at, sample_positions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.types import Label

__all__ = ["FeatureProjections"]


class FeatureProjections(nn.Module):
    """Brings features of a student and of its teachers to embeddings of one space.

    Args:
        student_channels: of the student's feature map.
        teacher_channels: of each teacher's feature map, at least one.
        embedding_dim: of the common space.
        temperature: of the loss, above zero.
        num_positions: the most positions that are drawn a step.

    Raises:
        ValueError: if a number is out of range, or there is no teacher.
        TypeError: if a number is of another type.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: Sequence[int],
        *,
        embedding_dim: int,
        temperature: float,
        num_positions: int,
    ) -> None:
        super().__init__()
        check_at_least(embedding_dim, 1, "embedding_dim")
        check_at_least(num_positions, 1, "num_positions")
        check_positive(temperature, "temperature")
        if not teacher_channels:
            raise InvalidValueError(
                "Expected `teacher_channels` of at least one teacher, but got none."
            )
        self.temperature = float(temperature)
        self.num_positions = num_positions
        self.student_projection = nn.Linear(student_channels, embedding_dim)
        self.teacher_projections = nn.ModuleList(
            nn.Linear(channels, embedding_dim) for channels in teacher_channels
        )

    def _embeddings(
        self, student_features: Tensor, teacher_features: Sequence[Tensor], label: Label
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """Embeddings ``(N, D)`` of the student and of each teacher, and the classes ``(N,)``."""
        if len(teacher_features) != len(self.teacher_projections):
            raise InvalidValueError(
                "Expected `teacher_features` to be one feature map for each of "
                f"{len(self.teacher_projections)} teachers, but got {len(teacher_features)}."
            )
        _check_features(student_features, self.student_projection, label, "student_features")
        for number, (features, project) in enumerate(
            zip(teacher_features, self.teacher_projections, strict=True)
        ):
            name = f"teacher_features[{number}]"
            _check_features(features, cast("nn.Linear", project), label, name)
        grid = student_features.shape[2:]
        index, classes = sample_positions(label, grid=grid, num_positions=self.num_positions)
        student = self.student_projection(features_at(student_features, index, grid=grid))
        teachers = [
            project(features_at(features.detach(), index, grid=grid))
            for project, features in zip(self.teacher_projections, teacher_features, strict=True)
        ]
        return student, teachers, classes


def _check_features(features: Tensor, projection: nn.Linear, label: Label, name: str) -> None:
    """Of another batch, positions would be looked up in the wrong image."""
    expected = (label.shape[0], projection.in_features)
    if features.dim() != label.dim() or tuple(features.shape[:2]) != expected:
        raise InvalidValueError(
            f"Expected `{name}` of shape ({expected[0]}, {expected[1]}, *spatial) for a label of "
            f"shape {tuple(label.shape)}, but got shape {tuple(features.shape)}."
        )
