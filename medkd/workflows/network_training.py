"""The stage that trains one network: a member, or the student."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from monai.utils.misc import set_determinism

from medkd.files import remove_leftovers
from medkd.runs.training_settings import (
    check_same_settings,
    training_settings,
    write_settings,
)

if TYPE_CHECKING:
    from monai.bundle.config_parser import ConfigParser

    from medkd.runs import Run

__all__ = ["is_trained", "leave_trained", "train_network"]

_log = logging.getLogger(__name__)

_SETTINGS = "settings.json"
_CHECKPOINT = "checkpoint.pt"  # of a training that is not finished, as every bundle calls it
# The ids that switch on what MONAI writes about a training.
_TRACKERS = ("tensorboard", "mlflow")


def train_network(run: Run) -> None:
    """Train, unless it is done; go on, if it was begun.

    The engine at ``train::trainer`` is built only when there is something to train, after seeding
    with ``training_seed``, so that the initial weights depend on the seed and on nothing that ran
    before. A training with a teacher (``distillation_weight`` above zero) depends on the weights of
    the members, so a student of members that were trained anew is not taken for one of these. The
    number of processes is, like the device, no setting: a training goes on with any.

    Args:
        run: the run.

    Raises:
        ValueError: if the folder holds a training with other settings.
    """
    group = run.process_group
    taught = bool(run.value("distillation_weight", 0)) or bool(run.value("feature_weights", {}))
    teacher_weights = run.teacher_weights_sha256() if taught else []
    settings = {**training_settings(run.parser), "teacher_weights": teacher_weights}
    settings_file = run.training_dir / _SETTINGS
    with group.one_error():
        check_same_settings(settings_file, settings)
    done = is_trained(run)
    group.wait_for_all()  # before a file is written, so that every process has found the same
    if done:
        leave_trained(run)
        return
    if group.is_main:
        write_settings(settings_file, settings)
        remove_leftovers(run.training_dir)
    else:
        _switch_off_trackers(run.parser)
    set_determinism(seed=int(run.value("training_seed")))
    try:
        group.train(lambda: run.value("train::trainer"))
    except BaseException:
        # Whose first step did not fit into memory may try again with a smaller patch.
        if group.is_main and not _is_begun(run.model_file, run.training_dir):
            settings_file.unlink(missing_ok=True)
        raise


def is_trained(run: Run) -> bool:
    """Whether the training of this configuration is over.

    Weights whose settings are gone cannot be told from those of another training.

    Args:
        run: the run, its settings checked.

    Returns:
        Whether `train_network` would leave them alone.
    """
    return run.model_file.is_file() and (run.training_dir / _SETTINGS).is_file()


def leave_trained(run: Run) -> None:
    """Say that there is nothing to train, and tidy up.

    Args:
        run: the run, which is trained.
    """
    # Left by a kill between the last weights and the end of the training.
    (run.training_dir / _CHECKPOINT).unlink(missing_ok=True)
    _log.info("The %s is trained already: %s.", run.value("description"), run.model_file)


def _is_begun(model_file: Path, training_dir: Path) -> bool:
    return model_file.is_file() or (training_dir / _CHECKPOINT).is_file()


def _switch_off_trackers(parser: ConfigParser) -> None:
    for name in _TRACKERS:
        if name in parser:
            parser.ref_resolver.get_item(name).update_config(config=False)
