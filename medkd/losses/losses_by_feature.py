"""One loss for each tapped feature, made for its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

__all__ = ["losses_by_feature"]


def losses_by_feature(
    make_loss: Callable[[int, Sequence[int]], nn.Module],
    *,
    student_channels: Mapping[str, int],
    teacher_channels: Mapping[str, Sequence[int]],
) -> dict[str, nn.Module]:
    """Make a loss for each feature, with projections of its channels.

    Args:
        make_loss: from the channels of the student's feature and those of each teacher's to a
            loss; in a bundle a loss with ``"_mode_": "callable"`` and its other settings.
        student_channels: name to channels.
        teacher_channels: name to the channels of each teacher.

    Returns:
        Name to loss.

    Raises:
        ValueError: if student and teachers have features of other names.

    Example:
        >>> from medkd.losses import SupervisedInfoNCELoss
        >>> losses = losses_by_feature(
        ...     SupervisedInfoNCELoss,
        ...     student_channels={"encoder": 4},
        ...     teacher_channels={"encoder": [8, 8]},
        ... )
        >>> losses["encoder"].student_projection
        Linear(in_features=4, out_features=128, bias=True)
    """
    if sorted(student_channels) != sorted(teacher_channels):
        raise InvalidValueError(
            f"Expected the student's features, {sorted(student_channels)}, to be the teachers', "
            f"but got {sorted(teacher_channels)}."
        )
    return {
        name: make_loss(channels, teacher_channels[name])
        for name, channels in student_channels.items()
    }
