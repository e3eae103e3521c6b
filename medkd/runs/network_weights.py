"""Which networks a run has: their weights say whether something was made with these or others."""

from __future__ import annotations

from pathlib import Path

from medkd.files import sha256_of
from medkd.teachers import count_members, member_weights_sha256

__all__ = ["network_weights"]


def network_weights(
    *,
    model_file: str | Path,
    members_dir: str | Path | None = None,
    num_members: int = 0,
    labels_only_dir: str | Path | None = None,
    peers_dir: str | Path | None = None,
) -> list[str]:
    """What identifies the networks of a run: the SHA-256 of the weights of each.

    Args:
        model_file: the student's weights.
        members_dir: the folder of the trained members; ``None`` for a run without an ensemble.
        num_members: how many of them.
        labels_only_dir: the members' folder of the network on labels alone, if there is one.
        peers_dir: the folder with the weights of the student's peers, if it has some.

    Returns:
        One hexadecimal digest a network.

    Raises:
        FileNotFoundError: if a member or the student is not trained.
    """
    folders = {} if members_dir is None else {members_dir: num_members}
    if labels_only_dir is not None:
        folders[labels_only_dir] = count_members(labels_only_dir)
    weights = [digest for item in folders.items() for digest in member_weights_sha256(*item)]
    peers = [] if peers_dir is None else sorted(Path(peers_dir).glob("peer_*.pt"))
    return [*weights, sha256_of(model_file), *map(sha256_of, peers)]
