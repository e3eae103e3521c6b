"""From the folders of a run to its networks: the members, the teacher they make, the student."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from monai.bundle.config_parser import ConfigParser

from medkd._checks import check_at_least
from medkd.ensembles.teacher_ensemble import TeacherEnsemble
from medkd.files import sha256_of
from medkd.networks import load_weights

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "count_members",
    "load_members",
    "load_network",
    "load_teacher",
    "member_dir",
    "member_weights_sha256",
]


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
    for path in (Path(config_file), Path(model_file)):
        if not path.is_file():
            raise FileNotFoundError(
                f"Expected a trained network, but there is no {path}. Run `training` first, or "
                "check --output_dir and --num_members."
            )
    parser = ConfigParser(ConfigParser.load_config_file(config_file))
    network: nn.Module = parser.get_parsed_content(network_id)
    load_weights(network, model_file)
    return network.to(device).eval()
