"""The stage that trains the members of an ensemble: one ordinary bundle run each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser
from monai.bundle.workflows import ConfigWorkflow

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError
from medkd.files import atomic_write
from medkd.runs.configuration import merged_parser
from medkd.runs.process_group import ProcessGroup, process_count
from medkd.runs.training_settings import check_same_settings, training_settings
from medkd.teachers import member_dir

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["train_members"]


def train_members(
    *,
    bundle_root: str | Path,
    members_dir: str | Path,
    num_members: int,
    overlay: str = "member.json",
    overlays: Sequence[str] = (),
    overrides: Mapping[str, Any] | None = None,
    process_group: ProcessGroup | None = None,
) -> None:
    """Train the members that are missing, one after the other.

    Each is the run of ``train.json`` with ``overlay`` on top that a scheduler would start with
    ``--member <m>``, in this process. A finished member is checked and left alone. Of several
    processes, each takes the next member whenever it is done with one, and waits for none.

    Args:
        bundle_root: the bundle's folder.
        members_dir: the folder of all members.
        num_members: how many there shall be, at least one.
        overlay: the file in ``bundle_root`` that makes a member's run of the student's.
        overlays: of a diverse ensemble, one file a member, relative to ``bundle_root``, on top of
            ``overlay``; none if members differ by their seed or fold alone.
        overrides: ids and values on top of these files, for members unlike the ensemble's.
        process_group: the processes that share the members out; ``None`` for this one alone.

    Raises:
        ValueError: if ``num_members`` is below one or more than there are overlays, a member was
            trained with other settings, or ``torchrun`` started several processes that would each
            train all members.
    """
    check_at_least(num_members, 1, "num_members")
    if overlays and num_members > len(overlays):
        raise InvalidValueError(
            f"Expected `num_members` to be at most the {len(overlays)} files of `member_overlays`, "
            f"but got {num_members}."
        )
    if process_group is None and process_count() > 1:
        raise InvalidValueError(
            f"Expected a `process_group` for {process_count()} processes, but got none. Add "
            "multi_gpu.json to --config_file, or start the run without torchrun."
        )
    group = process_group or ProcessGroup()
    root = Path(bundle_root)
    configs = {}
    for member in range(num_members):
        files = [root / file for file in (overlay, *overlays[member : member + 1])]
        overlaid = [ConfigParser.load_config_file(file) for file in files]
        parser = merged_parser(*overlaid, overrides or {}, {"member": member})
        configs[member_dir(members_dir, member)] = parser
    with group.one_error():
        # All are checked before one is touched: a refusal leaves every folder as it was.
        for folder, config in configs.items():
            check_same_settings(folder / "settings.json", training_settings(config))
        for folder, config in configs.items():
            if group.claim(str(folder)):
                with atomic_write(folder / "config.json", "w") as file:
                    json.dump(config.get(), file, indent=4, default=str)
                _run(folder / "config.json", meta_file=root / "metadata.json")


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
