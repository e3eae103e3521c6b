import json

import pytest

from medkd.files import atomic_write
from medkd.runs.training_settings import training_settings, write_settings
from medkd.workflows import train_network

IDS = {"description": "student", "training_seed": 0}


@pytest.fixture
def finished(tmp_path, make_run):
    """A finished training, whose engine must not be built again."""
    run = make_run(**IDS, train={"trainer": {"_target_": "never.Built", "seed": 3}})
    settings = {**training_settings(run.parser), "teacher_weights": []}
    write_settings(tmp_path / "settings.json", settings)
    with atomic_write(tmp_path / "model.pt") as file:
        file.write(b"weights")
    return run


def test_a_finished_training_is_left_alone(finished):
    before = finished.model_file.stat().st_mtime_ns
    train_network(finished)
    assert finished.model_file.stat().st_mtime_ns == before


def test_a_checkpoint_that_a_kill_left_behind_a_finished_training_is_removed(finished):
    """Between the last weights and the end of the training there is a moment for a kill."""
    (finished.training_dir / "checkpoint.pt").write_bytes(b"state")
    train_network(finished)
    assert not (finished.training_dir / "checkpoint.pt").exists()
    assert finished.model_file.read_bytes() == b"weights"


class _OutOfMemory:
    """An engine whose run ends in an error, after the epochs that it has a checkpoint of."""

    def __init__(self, checkpoint_file=None):
        self.checkpoint_file = checkpoint_file

    def run(self):
        if self.checkpoint_file is not None:
            self.checkpoint_file.write_bytes(b"state")
        raise RuntimeError("out of memory")


@pytest.mark.parametrize("epochs", [0, 1])
def test_settings_count_only_once_something_was_trained(tmp_path, make_run, epochs):
    """A smaller patch after the first step that did not fit is no other training."""
    checkpoint_file = tmp_path / "checkpoint.pt"

    def train_with_patch(size):
        trainer = _OutOfMemory(checkpoint_file if epochs else None)
        run = make_run(**IDS, patch_size=size, train={"trainer": {"roi": "@patch_size"}})
        run.parser.get_parsed_content("train::trainer")
        run.parser.ref_resolver.resolved_content["train::trainer"] = trainer
        train_network(run)

    with pytest.raises(RuntimeError, match="out of memory"):
        train_with_patch(64)
    error, match = [(RuntimeError, "out of memory"), (ValueError, "was 64 and is 32")][epochs]
    with pytest.raises(error, match=match):
        train_with_patch(32)
    if epochs:
        assert json.loads((tmp_path / "settings.json").read_text())["patch_size"] == 64


def test_a_student_of_other_members_is_another_student(tmp_path, make_run):
    """Members that were trained anew in the same folder have the same settings."""
    weights = tmp_path / "members" / "member_0" / "model.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"first")
    run = make_run(
        **IDS,
        members_dir=str(tmp_path / "members"),
        num_members=1,
        distillation_weight=0.5,
        train={"trainer": {}},
    )
    settings = {**training_settings(run.parser), "teacher_weights": run.teacher_weights_sha256()}
    write_settings(tmp_path / "settings.json", settings)
    run.model_file.write_bytes(b"student")
    train_network(run)
    weights.write_bytes(b"second")
    with pytest.raises(ValueError, match="`teacher_weights` has changed"):
        train_network(run)
