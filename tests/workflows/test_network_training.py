import pytest
from monai.bundle import ConfigParser

from medkd.files import atomic_write
from medkd.workflows import train_network
from medkd.workflows.training_settings import training_settings, write_settings


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
