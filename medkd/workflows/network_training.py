"""The stage that trains one network: a member, or the student."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from monai.utils.misc import set_determinism

from medkd.files import remove_leftovers
from medkd.runs.configuration import running_parser
from medkd.runs.process_group import ProcessGroup
from medkd.runs.training_settings import (
    check_same_settings,
    training_settings,
    write_settings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monai.bundle.config_parser import ConfigParser

__all__ = ["train_network"]

_log = logging.getLogger(__name__)

_CHECKPOINT = "checkpoint.pt"  # of a training that is not finished, as every bundle calls it
# The ids that switch on what MONAI writes about a training.
_TRACKERS = ("tensorboard", "mlflow")


def train_network(
    *,
    model_file: str | Path,
    training_dir: str | Path,
    seed: int,
    description: str,
    teacher_weights: Sequence[str] = (),
    process_group: ProcessGroup | None = None,
) -> None:
    """Train, unless it is done; go on, if it was begun.

    The engine at ``train::trainer`` is built only when there is something to train, after seeding,
    so that the initial weights depend on the seed and on nothing that ran before.

    Args:
        model_file: the finished weights; if they and their settings exist, there is nothing to do.
        training_dir: where the checkpoint and ``settings.json`` of the training lie.
        seed: of the initial weights.
        description: how the log calls the network.
        teacher_weights: what identifies the teacher, so that a student of members that were trained
            anew is not taken for one of these.
        process_group: the processes that train it together, of which the main one writes; ``None``
            for this one alone. Their number is, like the device, no setting: a training that was
            begun goes on with any.

    Raises:
        ValueError: if the folder holds a training with other settings.
    """
    parser = running_parser()
    group = process_group or ProcessGroup()
    settings = {**training_settings(parser), "teacher_weights": list(teacher_weights)}
    settings_file = Path(training_dir) / "settings.json"
    with group.one_error():
        check_same_settings(settings_file, settings)
    # Weights whose settings are gone cannot be told from those of another training.
    done = Path(model_file).is_file() and settings_file.is_file()
    group.wait_for_all()  # before a file is written, so that every process has found the same
    if done:
        if group.is_main:
            # Left by a kill between the last weights and the end of the training.
            (Path(training_dir) / _CHECKPOINT).unlink(missing_ok=True)
        _log.info("The %s is trained already: %s.", description, model_file)
        return
    if group.is_main:
        write_settings(settings_file, settings)
        remove_leftovers(training_dir)
    else:
        _switch_off_trackers(parser)
    set_determinism(seed=seed)
    try:
        group.train(lambda: parser.get_parsed_content("train::trainer"))
    except BaseException:
        # Whose first step did not fit into memory may try again with a smaller patch.
        if group.is_main and not _is_begun(model_file, training_dir):
            settings_file.unlink(missing_ok=True)
        raise


def _is_begun(model_file: str | Path, training_dir: str | Path) -> bool:
    return Path(model_file).is_file() or (Path(training_dir) / _CHECKPOINT).is_file()


def _switch_off_trackers(parser: ConfigParser) -> None:
    for name in _TRACKERS:
        if name in parser:
            parser.ref_resolver.get_item(name).update_config(config=False)
