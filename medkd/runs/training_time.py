"""What a method's training cost, from the curves that the trainings left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.handlers import read_history
from medkd.teachers import member_dir

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["read_histories", "training_seconds"]

_STUDENT = "student"
_DROPOUT = "dropout network"
_LABELS_ONLY = "labels-only network"
_MEMBER_NAMES = ("member", "teacher")


def read_histories(
    training_dir: str | Path,
    *,
    members_dir: str | Path | None = None,
    num_members: int = 0,
    member_name: str = "member",
    dropout_dir: str | Path | None = None,
    labels_only_dir: str | Path | None = None,
) -> dict[str, list[dict[str, float]]]:
    """The training curves that are there.

    Args:
        training_dir: of the student.
        members_dir: the folder of all members; ``None`` for a run without an ensemble.
        num_members: how many of them.
        member_name: what one is called, ``"member"`` or ``"teacher"``.
        dropout_dir: the members' folder of the network with dropout.
        labels_only_dir: the members' folder of the network on labels alone.

    Returns:
        Network name to its rows.
    """
    folders = {}
    if members_dir is not None:
        folders = {f"{member_name} {m}": member_dir(members_dir, m) for m in range(num_members)}
    for name, directory in ((_DROPOUT, dropout_dir), (_LABELS_ONLY, labels_only_dir)):
        if directory is not None:
            folders[name] = member_dir(directory, 0)
    folders[_STUDENT] = Path(training_dir)
    files = {name: folder / "history.csv" for name, folder in folders.items()}
    return {name: read_history(file) for name, file in files.items() if file.is_file()}


def training_seconds(
    method: str, histories: Mapping[str, Sequence[Mapping[str, float]]]
) -> float | None:
    """Seconds of all the training that a method needs.

    A student needs its ensemble first; test-time augmentation needs one member. Peers are trained
    with the student, in the same time.

    Args:
        method: the method's name.
        histories: of :func:`read_histories`.

    Returns:
        The sum over the networks; ``None`` if one left no times.
    """
    members = [name for name in histories if name.split()[0] in _MEMBER_NAMES]
    needed = {
        "deep_ensemble": members,
        "teacher": members,
        "student": [*members, _STUDENT],
        "peer_ensemble": [_STUDENT],
        "mc_dropout": [_DROPOUT],
        "labels_only": [_LABELS_ONLY],
    }
    if method in needed:
        return _total(needed[method], histories)
    total = _total(members, histories)
    return None if total is None else total / len(members)


def _total(
    networks: Sequence[str], histories: Mapping[str, Sequence[Mapping[str, float]]]
) -> float | None:
    rows = [row for name in networks for row in histories.get(name, [{}])]
    if not rows or any("seconds" not in row for row in rows):
        return None
    return sum(row["seconds"] for row in rows)
