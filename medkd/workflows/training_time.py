"""What a method's training cost, from the curves that the trainings left."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.ensembles import member_dir
from medkd.handlers import read_history

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["read_histories", "training_seconds"]

_STUDENT = "student"
_DROPOUT = "dropout network"


def read_histories(
    members_dir: str | Path, num_members: int, training_dir: str | Path, dropout_dir: str | Path
) -> dict[str, list[dict[str, float]]]:
    """The training curves that are there.

    Args:
        members_dir: the folder of all members.
        num_members: how many of them.
        training_dir: of the student.
        dropout_dir: the members' folder of the network with dropout.

    Returns:
        Network name to its rows.
    """
    files = {f"member {m}": member_dir(members_dir, m) / "history.csv" for m in range(num_members)}
    files[_DROPOUT] = member_dir(dropout_dir, 0) / "history.csv"
    files[_STUDENT] = Path(training_dir) / "history.csv"
    return {name: read_history(file) for name, file in files.items() if file.is_file()}


def training_seconds(
    method: str, histories: Mapping[str, Sequence[Mapping[str, float]]]
) -> float | None:
    """Seconds of all the training that a method needs.

    A student needs its ensemble first; test-time augmentation needs one member.

    Args:
        method: the method's name.
        histories: of :func:`read_histories`.

    Returns:
        The sum over the networks; ``None`` if one left no times.
    """
    members = [name for name in histories if name.startswith("member ")]
    if method == "deep_ensemble":
        return _total(members, histories)
    if method == "student":
        return _total([*members, _STUDENT], histories)
    if method == "mc_dropout":
        return _total([_DROPOUT], histories)
    total = _total(members, histories)
    return None if total is None else total / len(members)


def _total(
    networks: Sequence[str], histories: Mapping[str, Sequence[Mapping[str, float]]]
) -> float | None:
    rows = [row for name in networks for row in histories.get(name, [{}])]
    if not rows or any("seconds" not in row for row in rows):
        return None
    return sum(row["seconds"] for row in rows)
