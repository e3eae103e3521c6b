"""The stages that train networks beside the student: one ordinary bundle run each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser
from monai.bundle.workflows import ConfigWorkflow

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError
from medkd.runs import Run
from medkd.runs.json_files import write_json
from medkd.runs.process_group import process_count
from medkd.runs.training_settings import check_same_settings, training_settings
from medkd.teachers import member_dir
from medkd.workflows.network_training import is_trained, leave_trained

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["train_dropout_network", "train_labels_only", "train_members"]


def train_members(run: Run) -> None:
    """Train the members of the ensemble that are missing, one after the other.

    Each is the run of ``train.json`` with ``member.json`` on top that a scheduler would start with
    ``--member <m>``, in this process; of a diverse ensemble, the member's file in
    ``member_overlays`` comes on top of that. A finished member is checked and left alone. Of
    several processes, each takes the next member whenever it is done with one, and waits for none.

    Args:
        run: the run.

    Raises:
        ValueError: if ``num_members`` is below one or more than there are overlays, a member was
            trained with other settings, or ``torchrun`` started several processes that would each
            train all members.
    """
    check_at_least(run.num_members, 1, "num_members")
    overlays = run.value("member_overlays", [])
    if overlays and run.num_members > len(overlays):
        raise InvalidValueError(
            f"Expected `num_members` to be at most the {len(overlays)} files of `member_overlays`, "
            f"but got {run.num_members}."
        )
    _train(
        run,
        run.value("members_dir"),
        [["member.json", *overlays[m : m + 1]] for m in range(run.num_members)],
    )


def train_dropout_network(run: Run) -> None:
    """Train, unless it is done, one more network like member 0, but with dropout.

    It is what Monte Carlo dropout is judged by: a network that was never trained with dropout says
    nothing sensible when units are dropped. A ``dropout`` of 0 leaves this predictor out.

    Args:
        run: the run.

    Raises:
        ValueError: if the network was trained with other settings.
    """
    dropout = run.value("dropout")
    if dropout == 0:
        return
    folder = run.value("dropout_dir")
    overrides = {
        "members_dir": str(folder),
        "member_def::dropout": dropout,
        "description": "dropout network",
    }
    _train(run, folder, [["member.json"]], overrides=overrides)


def train_labels_only(run: Run, *, overlay: str = "member.json") -> None:
    """Train, unless it is done, one network on the labeled cases alone.

    It has the student's architecture, initial weights, optimizer, schedule and labeled batches;
    what the student has beyond it comes from its peers and from unlabeled images, or from its
    teacher. The id ``labels_only`` set to false leaves this network out.

    Args:
        run: the run.
        overlay: the file of the bundle that makes this network's run of ``train.json``.

    Raises:
        ValueError: if the network was trained with other settings.
    """
    if run.value("labels_only"):
        _train(run, run.value("labels_only_dir"), [[overlay]])


def _train(
    run: Run,
    folder: str | Path,
    overlays: Sequence[Sequence[str]],
    *,
    overrides: Mapping[str, Any] | None = None,
) -> None:
    """Train a network for each list of overlays, into ``folder/member_<number>``."""
    if run.process_group.size < process_count():
        raise InvalidValueError(
            f"Expected a `process_group` for {process_count()} processes, but got none. Add "
            "multi_gpu.json to --config_file, or start the run without torchrun."
        )
    runs = {}
    for member, files in enumerate(overlays):
        overlaid = [ConfigParser.load_config_file(run.bundle_root / file) for file in files]
        parser = run.with_overrides(*overlaid, overrides or {}, {"member": member})
        runs[member_dir(folder, member)] = Run(parser)
    with run.process_group.one_error():
        # All are checked before one is touched: a refusal leaves every folder as it was.
        for directory, other in runs.items():
            check_same_settings(directory / "settings.json", training_settings(other.parser))
        for directory, other in runs.items():
            # What is finished is not even opened: several runs may read it at once.
            if is_trained(other):
                leave_trained(other)
            elif run.process_group.claim(str(directory)):
                write_json(directory / "config.json", other.parser.get())
                _run(directory / "config.json", meta_file=run.bundle_root / "metadata.json")


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
