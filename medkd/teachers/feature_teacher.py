"""The features of an ensemble's members, which cannot be woken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn

from medkd.errors import InvalidValueError
from medkd.networks import FeatureTaps, feature_channels
from medkd.teachers.trained_networks import load_members

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["FeatureTeacher", "load_feature_teacher"]


class FeatureTeacher(nn.Module):
    """Trained networks whose features a student learns from, member by member.

    Frozen for good, as :class:`~medkd.teachers.TeacherEnsemble` is. Features are too large to
    store, so the members run in every step of the student's training, on the very view that the
    student sees, and no further than the last feature that is wanted.

    Args:
        members: one trained network each; they need not share an architecture.
        features: name to the path of a module, see :class:`medkd.networks.FeatureTaps`: one for
            all members, or a list with one a member.

    Shape:
        - image: ``(B, C_in, *spatial)``
        - returns: name to one ``(B, C_m, *spatial_m)`` a member, without gradient

    Raises:
        ValueError: if there is no member, not as many ``features`` as members, the members'
            features have other names, or a path does not exist.

    Example:
        >>> members = [nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 2, 1)) for _ in range(3)]
        >>> teacher = FeatureTeacher(members, {"inner": "0"}).train()
        >>> features = teacher(torch.zeros(1, 1, 4, 3))
        >>> teacher.training, [tuple(feature.shape) for feature in features["inner"]]
        (False, [(1, 4, 4, 3), (1, 4, 4, 3), (1, 4, 4, 3)])
    """

    def __init__(
        self,
        members: Sequence[nn.Module],
        features: Mapping[str, str] | Sequence[Mapping[str, str]],
    ) -> None:
        super().__init__()
        if not members:
            raise InvalidValueError(
                "Expected `members` to hold at least one network, but got none."
            )
        each = [features] * len(members) if isinstance(features, Mapping) else list(features)
        if len(each) != len(members) or len({tuple(sorted(one)) for one in each}) > 1:
            raise InvalidValueError(
                f"Expected `features` of the same names for each of {len(members)} members, but "
                f"got {[sorted(one) for one in each]}."
            )
        self.members = nn.ModuleList(
            FeatureTaps(member, paths) for member, paths in zip(members, each, strict=True)
        )
        self.requires_grad_(requires_grad=False)
        self.train()

    def train(self, mode: bool = True) -> FeatureTeacher:  # noqa: ARG002 - a teacher cannot be woken
        """Stay in evaluation mode, whatever ``mode`` says."""
        return super().train(mode=False)

    @torch.no_grad()
    def forward(self, image: torch.Tensor) -> dict[str, list[torch.Tensor]]:
        """Name to the feature map of each member."""
        caught = [member.features_of(image) for member in self.members]  # type: ignore[operator]
        return {name: [features[name] for features in caught] for name in caught[0]}

    def channels(self, image_shape: Sequence[int]) -> dict[str, list[int]]:
        """Name to the channels of each member's feature, by a run on zeros of this shape."""
        found = [
            feature_channels(member.network, member.features, image_shape)  # type: ignore[arg-type]
            for member in self.members
        ]
        return {name: [channels[name] for channels in found] for name in found[0]}


def load_feature_teacher(
    members_dir: str | Path,
    num_members: int,
    features: Mapping[str, str] | Sequence[Mapping[str, str]],
    *,
    device: str | torch.device = "cpu",
) -> FeatureTeacher:
    """Load trained members for their features.

    Args:
        members_dir: the folder that holds ``member_0``, ``member_1``, ...
        num_members: how many of them.
        features: see :class:`FeatureTeacher`.
        device: where they are put.

    Returns:
        The teacher.

    Raises:
        FileNotFoundError: if a member is not trained.
        ValueError: if weights do not fit, or see :class:`FeatureTeacher`.
    """
    return FeatureTeacher(load_members(members_dir, num_members, device=device), features)
