"""What a method's training cost, from the curves that the trainings left."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["AS_SHIPPED", "training_seconds"]

AS_SHIPPED = "student_as_shipped"
"""The name of the student with its temperature, as it is exported and predicted with."""

_STUDENT = "student"
_DROPOUT = "dropout network"
_LABELS_ONLY = "labels-only network"
_MEMBER_NAMES = ("member", "teacher")
_OF_ONE_MEMBER = ("single", "test_time_augmentation")


def training_seconds(
    method: str, histories: Mapping[str, Sequence[Mapping[str, float]]]
) -> float | None:
    """Seconds of all the training that a method needs.

    A student needs its ensemble first; test-time augmentation needs one member. Peers are trained
    with the student, in the same time.

    Args:
        method: the method's name.
        histories: of :meth:`medkd.runs.Run.histories`.

    Returns:
        The sum over the networks; ``None`` if one left no times, and for a predictor of the user's
        own, whose networks a name does not tell.
    """
    members = [name for name in histories if name.split()[0] in _MEMBER_NAMES]
    needed = {
        "deep_ensemble": members,
        "teacher": members,
        "student": [*members, _STUDENT],
        AS_SHIPPED: [*members, _STUDENT],
        "peer_ensemble": [_STUDENT],
        "mc_dropout": [_DROPOUT],
        "labels_only": [_LABELS_ONLY],
    }
    if method in needed:
        return _total(needed[method], histories)
    if method not in _OF_ONE_MEMBER:
        return None
    total = _total(members, histories)
    return None if total is None else total / len(members)


def _total(
    networks: Sequence[str], histories: Mapping[str, Sequence[Mapping[str, float]]]
) -> float | None:
    rows = [row for name in networks for row in histories.get(name, [{}])]
    if not rows or any("seconds" not in row for row in rows):
        return None
    return sum(row["seconds"] for row in rows)
