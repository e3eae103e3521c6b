import json

import pytest
from monai.bundle import ConfigParser

from medkd.files import atomic_write
from medkd.runs.training_settings import training_settings, write_settings
from medkd.workflows import train_network


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """The folder of a finished training, whose engine must not be built again."""
    parser = ConfigParser({"train": {"trainer": {"_target_": "never.Built", "seed": 3}}})
    monkeypatch.setattr("medkd.workflows.network_training.running_parser", lambda: parser)
    settings = {**training_settings(parser), "teacher_weights": []}
    write_settings(tmp_path / "settings.json", settings)
    with atomic_write(tmp_path / "model.pt") as file:
        file.write(b"weights")
    return tmp_path


def train(folder):
    train_network(
        model_file=folder / "model.pt", training_dir=folder, seed=0, description="student"
    )


def test_a_finished_training_is_left_alone(finished):
    before = (finished / "model.pt").stat().st_mtime_ns
    train(finished)
    assert (finished / "model.pt").stat().st_mtime_ns == before


def test_a_checkpoint_that_a_kill_left_behind_a_finished_training_is_removed(finished):
    """Between the last weights and the end of the training there is a moment for a kill."""
    (finished / "checkpoint.pt").write_bytes(b"state")
    train(finished)
    assert not (finished / "checkpoint.pt").exists()
    assert (finished / "model.pt").read_bytes() == b"weights"


class _OutOfMemory:
    """An engine whose run ends in an error, after the epochs that it has a checkpoint of."""

    def __init__(self, checkpoint_file=None):
        self.checkpoint_file = checkpoint_file

    def run(self):
        if self.checkpoint_file is not None:
            self.checkpoint_file.write_bytes(b"state")
        raise RuntimeError("out of memory")


@pytest.mark.parametrize("epochs", [0, 1])
def test_settings_count_only_once_something_was_trained(tmp_path, monkeypatch, epochs):
    """A smaller patch after the first step that did not fit is no other training."""
    checkpoint_file = tmp_path / "checkpoint.pt"

    def with_patch(size):
        trainer = _OutOfMemory(checkpoint_file if epochs else None)
        parser = ConfigParser({"patch_size": size, "train": {"trainer": {"roi": "@patch_size"}}})
        monkeypatch.setattr(parser, "get_parsed_content", lambda _name: trainer)
        monkeypatch.setattr("medkd.workflows.network_training.running_parser", lambda: parser)

    with_patch(64)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(tmp_path)
    with_patch(32)
    error, match = [(RuntimeError, "out of memory"), (ValueError, "was 64 and is 32")][epochs]
    with pytest.raises(error, match=match):
        train(tmp_path)
    if epochs:
        assert json.loads((tmp_path / "settings.json").read_text())["patch_size"] == 64
