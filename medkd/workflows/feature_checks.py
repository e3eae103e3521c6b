"""Features that are not there, and losses that cannot be made, refused before any training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from monai.bundle.config_parser import ConfigParser

from medkd._checks import check_at_least, check_weights
from medkd.losses import losses_by_feature
from medkd.networks import feature_channels, weighted_features
from medkd.runs.configuration import merged_parser
from medkd.teachers import FeatureTeacher, count_members, load_members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import nn

__all__ = ["check_features"]


def check_features(
    *,
    features: Mapping[str, str],
    teacher_features: Mapping[str, str] | Sequence[Mapping[str, str]],
    feature_weights: Mapping[str, float],
    feature_loss: Callable[[int, Sequence[int]], nn.Module],
    num_classes: int,
    image_shape: Sequence[int],
    members_dir: str | Path,
    num_members: int,
    bundle_root: str | Path,
    member_overlays: Sequence[str] = (),
) -> None:
    """Look features up in the networks of the running configuration, before hours of training.

    The student is made of ``network_def``, and members that are not trained yet of ``member_def``,
    with their overlays on top. They are made apart from those that will be trained, whose weights
    depend on a seed that is set later.

    Args:
        features: of the student, name to the path of a module.
        teacher_features: of all members, or such a mapping for each.
        feature_weights: name to weight; one of zero is not looked up, and without any there is
            nothing to check, as in a run that trains a member.
        feature_loss: makes the loss of a feature, see :func:`medkd.losses.losses_by_feature`.
        num_classes: background included, of each of which a loss draws a position.
        image_shape: ``(B, C_in, *spatial)`` of a patch, which all networks must take.
        members_dir: the folder of the members, as far as they are trained.
        num_members: how many there will be.
        bundle_root: the bundle's folder.
        member_overlays: of a diverse ensemble, one file a member, relative to ``bundle_root``.

    Raises:
        ValueError: if a path does not exist, with those that do, or gives no feature map; if a
            network does not take the patch; if names of features and weights differ, or there are
            not as many ``teacher_features`` as members; if a weight or a setting of the loss is out
            of range.
    """
    if not feature_weights:
        return
    check_weights(feature_weights, "feature_weights")
    student: nn.Module = merged_parser().get_parsed_content("network_def")
    wanted = weighted_features(features, feature_weights)
    student_channels = feature_channels(student, wanted, image_shape)
    if count_members(members_dir) >= num_members:
        members = load_members(members_dir, num_members)
    elif member_overlays:
        if num_members > len(member_overlays):
            return  # `train_members` refuses that in its own words, before it trains
        files = [Path(bundle_root) / file for file in member_overlays[:num_members]]
        overlaid = [merged_parser(ConfigParser.load_config_file(file)) for file in files]
        members = [parser.get_parsed_content("member_def") for parser in overlaid]
    else:  # alike but for their weights
        members = [merged_parser().get_parsed_content("member_def")] * num_members
    teacher = FeatureTeacher(members, weighted_features(teacher_features, feature_weights))
    losses = losses_by_feature(
        feature_loss,
        student_channels=student_channels,
        teacher_channels=teacher.channels(image_shape),
    )
    for loss in losses.values():
        check_at_least(getattr(loss, "num_positions", num_classes), num_classes, "num_positions")
