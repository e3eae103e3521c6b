"""The stage that trains the network on labels alone that a student is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.workflows.member_training import train_members

if TYPE_CHECKING:
    from pathlib import Path

    from medkd.runs.process_group import ProcessGroup

__all__ = ["train_labels_only"]


def train_labels_only(
    *,
    bundle_root: str | Path,
    labels_only_dir: str | Path,
    labels_only: bool,
    overlay: str = "member.json",
    process_group: ProcessGroup | None = None,
) -> None:
    """Train, unless it is done, one network on the labeled cases alone.

    It has the student's architecture, initial weights, optimizer, schedule and labeled batches;
    what the student has beyond it comes from its peers and from unlabeled images, or from its
    teacher.

    Args:
        bundle_root: the bundle's folder.
        labels_only_dir: where it goes, laid out as the members of an ensemble are.
        labels_only: false leaves this network out.
        overlay: the file in ``bundle_root`` that makes this network's run of ``train.json``.
        process_group: the processes one of which trains it; ``None`` for this one alone.

    Raises:
        ValueError: if the network was trained with other settings.
    """
    if not labels_only:
        return
    train_members(
        bundle_root=bundle_root,
        members_dir=labels_only_dir,
        num_members=1,
        overlay=overlay,
        process_group=process_group,
    )
