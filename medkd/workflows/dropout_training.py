"""The stage that trains the network whose dropout is sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.workflows.member_training import train_members

if TYPE_CHECKING:
    from pathlib import Path

    from medkd.runs.process_group import ProcessGroup

__all__ = ["train_dropout_network"]


def train_dropout_network(
    *,
    bundle_root: str | Path,
    dropout_dir: str | Path,
    dropout: float,
    process_group: ProcessGroup | None = None,
) -> None:
    """Train, unless it is done, one more network like member 0, but with dropout.

    It is what Monte Carlo dropout is judged by: a network that was never trained with dropout says
    nothing sensible when units are dropped.

    Args:
        bundle_root: the bundle's folder, which holds ``member.json``.
        dropout_dir: where it goes, laid out as the members are.
        dropout: the probability, in ``[0, 1)``, as the argument ``dropout`` of ``member_def``;
            0 leaves this predictor out.
        process_group: the processes one of which trains it; ``None`` for this one alone.

    Raises:
        ValueError: if the network was trained with other settings.
    """
    if dropout == 0:
        return
    overrides = {
        "members_dir": str(dropout_dir),
        "member_def::dropout": dropout,
        "description": "dropout network",
    }
    train_members(
        bundle_root=bundle_root,
        members_dir=dropout_dir,
        num_members=1,
        overrides=overrides,
        process_group=process_group,
    )
