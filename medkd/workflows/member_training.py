"""The stage that trains the members of an ensemble: one ordinary bundle run each."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from monai.bundle.config_parser import ConfigParser
from monai.bundle.workflows import ConfigWorkflow

from medkd._checks import check_at_least
from medkd.ensembles import member_dir
from medkd.files import atomic_write
from medkd.workflows.running_configuration import running_parser
from medkd.workflows.training_settings import check_same_settings, training_settings

__all__ = ["train_members"]


def train_members(*, bundle_root: str | Path, members_dir: str | Path, num_members: int) -> None:
    """Train the members that are missing, one after the other.

    Each is the run of ``train.json`` with ``member.json`` on top that a scheduler would start with
    ``--member <m>``, in this process. A finished member is checked and left alone.

    Args:
        bundle_root: the bundle's folder, which holds ``member.json``.
        members_dir: the folder of all members.
        num_members: how many there shall be, at least one.

    Raises:
        ValueError: if ``num_members`` is below one, or a member was trained with other settings.
    """
    check_at_least(num_members, 1, "num_members")
    overlay = ConfigParser.load_config_file(Path(bundle_root) / "member.json")
    base = {k: v for k, v in running_parser().get().items() if k != ConfigParser.meta_key}
    configs = {member_dir(members_dir, m): _merged(base, overlay, m) for m in range(num_members)}
    # All are checked before one is touched: a refusal leaves every folder as it was.
    for folder, config in configs.items():
        check_same_settings(folder / "settings.json", training_settings(config))
    for folder, config in configs.items():
        with atomic_write(folder / "config.json", "w") as file:
            json.dump(config.get(), file, indent=4, default=str)
        _run(folder / "config.json", meta_file=Path(bundle_root) / "metadata.json")


def _merged(base: dict[str, Any], overlay: dict[str, Any], member: int) -> ConfigParser:
    parser = ConfigParser(copy.deepcopy(base))
    parser.update({**overlay, "member": member})
    return parser


def _run(config_file: Path, *, meta_file: Path) -> None:
    workflow = ConfigWorkflow(
        config_file=str(config_file),
        meta_file=str(meta_file),
        # The logging of the run that asks for the members stays as it is.
        logging_file=False,
        workflow_type="train",
    )
    workflow.initialize()
    workflow.run()
    workflow.finalize()
