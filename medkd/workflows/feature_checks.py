"""Features that are not there, and losses that cannot be made, refused before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monai.bundle.config_parser import ConfigParser

from medkd._checks import check_at_least, check_weights
from medkd.losses import losses_by_feature
from medkd.networks import feature_channels, weighted_features
from medkd.teachers import FeatureTeacher, count_members, load_members

if TYPE_CHECKING:
    from torch import nn

    from medkd.runs import Run

__all__ = ["check_features"]


def check_features(run: Run) -> None:
    """Look features up in the networks of a run, before hours of training.

    The student is made of ``network_def``, and members that are not trained yet of ``member_def``,
    with their overlays on top. They are made apart from those that will be trained, whose weights
    depend on a seed that is set later. A feature whose weight is zero is not looked up, and without
    any there is nothing to check, as in a run that trains a member.

    Args:
        run: the run, with ``features``, ``teacher_features``, ``feature_weights``,
            ``feature_loss``, ``num_classes`` and the ``image_shape`` of a patch.

    Raises:
        ValueError: if a path does not exist, with those that do, or gives no feature map; if a
            network does not take the patch; if names of features and weights differ, or there are
            not as many ``teacher_features`` as members; if a weight or a setting of the loss is out
            of range.
    """
    feature_weights = run.value("feature_weights")
    if not feature_weights:
        return
    check_weights(feature_weights, "feature_weights")
    image_shape, num_members = run.value("image_shape"), run.num_members
    member_overlays = run.value("member_overlays", [])
    student: nn.Module = run.with_overrides().get_parsed_content("network_def")
    wanted = weighted_features(run.value("features"), feature_weights)
    student_channels = feature_channels(student, wanted, image_shape)
    if count_members(run.value("members_dir")) >= num_members:
        members = load_members(run.value("members_dir"), num_members)
    elif member_overlays:
        if num_members > len(member_overlays):
            return  # `train_members` refuses that in its own words, before it trains
        files = [run.bundle_root / file for file in member_overlays[:num_members]]
        overlaid = [run.with_overrides(ConfigParser.load_config_file(file)) for file in files]
        members = [parser.get_parsed_content("member_def") for parser in overlaid]
    else:  # alike but for their weights
        members = [run.with_overrides().get_parsed_content("member_def")] * num_members
    teacher_features = weighted_features(run.value("teacher_features"), feature_weights)
    teacher = FeatureTeacher(members, teacher_features)
    losses = losses_by_feature(
        run.value("feature_loss"),
        student_channels=student_channels,
        teacher_channels=teacher.channels(image_shape),
    )
    num_classes = run.value("num_classes")
    for loss in losses.values():
        check_at_least(getattr(loss, "num_positions", num_classes), num_classes, "num_positions")
