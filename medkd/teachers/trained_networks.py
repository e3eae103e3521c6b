"""From the folders of a run to its networks: members, the teacher they make, the student, peers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from monai.bundle.config_parser import ConfigParser

from medkd._checks import check_at_least
from medkd.errors import MissingFileError
from medkd.files import sha256_of
from medkd.networks import load_weights
from medkd.teachers.teacher_ensemble import TeacherEnsemble

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "count_members",
    "load_members",
    "load_network",
    "load_peers",
    "load_teacher",
    "member_dir",
    "member_weights_sha256",
]

_AXES_OF_2D = 4  # of the weight of a convolution: out, in, height, width


def member_dir(members_dir: str | Path, member: int) -> Path:
    """The folder of one member.

    Args:
        members_dir: the folder of all members.
        member: its number, from zero.

    Returns:
        ``members_dir/member_<member>``.
    """
    return Path(members_dir) / f"member_{member}"


def load_members(
    members_dir: str | Path, num_members: int, *, device: str | torch.device = "cpu"
) -> list[nn.Module]:
    """Load trained members, each in the architecture that its own ``config.json`` states.

    So the members of a diverse ensemble need nothing but their folders. A configuration file is
    code to MONAI: load only what you trained or trust.

    Args:
        members_dir: the folder that holds ``member_0``, ``member_1``, ...
        num_members: how many of them, at least one.
        device: where the networks are put.

    Returns:
        The networks in evaluation mode.

    Raises:
        ValueError: if ``num_members`` is below one, or weights do not fit.
        FileNotFoundError: if a member is missing or not finished.
    """
    check_at_least(num_members, 1, "num_members")
    folders = [member_dir(members_dir, m) for m in range(num_members)]
    return [
        load_network(f / "config.json", f / "model.pt", network_id="member_def", device=device)
        for f in folders
    ]


def load_teacher(
    members_dir: str | Path,
    num_members: int,
    *,
    temperature: float,
    device: str | torch.device = "cpu",
) -> TeacherEnsemble:
    """Load trained members as one teacher.

    Args:
        members_dir: the folder that holds ``member_0``, ``member_1``, ...
        num_members: how many of them, at least one.
        temperature: of the teacher's softmax, above zero.
        device: where it is put.

    Returns:
        The frozen teacher.
    """
    members = load_members(members_dir, num_members, device=device)
    return TeacherEnsemble(members, temperature=temperature)


def member_weights_sha256(members_dir: str | Path, num_members: int) -> list[str]:
    """What identifies an ensemble: the SHA-256 of each member's weights.

    Args:
        members_dir: the folder that holds ``member_0``, ``member_1``, ...
        num_members: how many of them.

    Returns:
        One hexadecimal digest a member.
    """
    return [sha256_of(member_dir(members_dir, m) / "model.pt") for m in range(num_members)]


def count_members(members_dir: str | Path) -> int:
    """How many members are finished, counted from ``member_0`` without a gap.

    Args:
        members_dir: the folder of all members.

    Returns:
        Their number.
    """
    count = 0
    while (member_dir(members_dir, count) / "model.pt").is_file():
        count += 1
    return count


def load_network(
    config_file: str | Path,
    model_file: str | Path,
    *,
    network_id: str = "network_def",
    device: str | torch.device = "cpu",
) -> nn.Module:
    """Load a trained network in the architecture that its run's configuration states.

    Args:
        config_file: the ``config.json`` of the run. A configuration is code to MONAI: load only
            what you trained or trust.
        model_file: its weights.
        network_id: the id in it that is built.
        device: where the network is put.

    Returns:
        The network in evaluation mode.

    Raises:
        FileNotFoundError: if either file is missing.
        ValueError: if the weights do not fit.
    """
    network: nn.Module = _parser_of(config_file, model_file).get_parsed_content(network_id)
    load_weights(network, model_file)
    return _ready(network, device)


def load_peers(
    config_file: str | Path,
    model_file: str | Path,
    peers_dir: str | Path,
    *,
    device: str | torch.device = "cpu",
) -> list[nn.Module]:
    """Load a student and the networks that it was trained with.

    Args:
        config_file: the ``config.json`` of the run, with ``network_def`` and the list
            ``peer_defs``. A configuration is code to MONAI: load only what you trained or trust.
        model_file: the student's weights.
        peers_dir: where :class:`medkd.handlers.PeerWeightsHandler` left those of the others.
        device: where the networks are put.

    Returns:
        The networks in evaluation mode, the student first.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if weights do not fit.
    """
    student = load_network(config_file, model_file, device=device)
    peers: list[nn.Module] = _parser_of(config_file).get_parsed_content("peer_defs")
    for number, peer in enumerate(peers, start=2):
        weights_file = Path(peers_dir) / f"peer_{number}.pt"
        _check_is_file(weights_file)
        load_weights(peer, weights_file)
    return [student, *(_ready(peer, device) for peer in peers)]


def _ready(network: nn.Module, device: str | torch.device) -> nn.Module:
    """On its device and in evaluation mode."""
    network = network.to(device).eval()
    is_2d = all(weight.dim() <= _AXES_OF_2D for weight in network.parameters())
    if is_2d and torch.device(device).type == "cpu":
        # Convolutions of 2D networks are faster so (`benchmarks/memory_format.py`).
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def _parser_of(config_file: str | Path, *weights_files: str | Path) -> ConfigParser:
    for path in (config_file, *weights_files):
        _check_is_file(path)
    return ConfigParser(ConfigParser.load_config_file(config_file))


def _check_is_file(path: str | Path) -> None:
    if not Path(path).is_file():
        raise MissingFileError(
            f"Expected a trained network, but there is no {path}. Run `training` first, or check "
            "--output_dir and how many networks were trained."
        )
