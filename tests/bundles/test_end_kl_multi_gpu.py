"""One run on two processes: two CPUs here, as they would be two GPUs."""

import shutil

import pytest
import torch

from medkd.errors import sentence_of
from medkd.handlers import ResumeHandler, read_history

FILES = ("train.json", "multi_gpu.json")


@pytest.fixture
def settings(small):
    return {**small, "split": "validation"}


def _weights(file):
    return torch.load(file, weights_only=True)


class _KilledError(Exception):
    """In the place of a kill, which would end the tests."""


@pytest.fixture
def begun_run(run_bundle, settings, tmp_path, monkeypatch):
    """A run on one process that was killed in the student's third epoch."""
    output_dir = tmp_path / "run"
    save = ResumeHandler.save

    def save_until_killed(handler, engine):
        if "student" in str(handler.checkpoint_file) and engine.state.epoch == 3:
            raise _KilledError
        save(handler, engine)

    with monkeypatch.context() as patch:
        patch.setattr(ResumeHandler, "save", save_until_killed)
        with pytest.raises(RuntimeError, match="train_network"):
            run_bundle(**settings, output_dir=str(output_dir))
    return output_dir


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")  # as each of two processes has
def test_two_processes_end_what_one_began(
    begun_run, run_bundle, run_two_processes, settings, tmp_path
):
    members = begun_run / "members"
    shutil.move(members, tmp_path / "members_of_one")
    status, written = run_two_processes(files=FILES, **settings, output_dir=str(begun_run))
    assert status == 0, written

    # Each of the two trained one of the members, at the same time, as one process would.
    folders = [members / f"member_{member}" for member in (0, 1)]
    started = [(folder / "config.json").stat().st_mtime_ns for folder in folders]
    ended = [(folder / "model.pt").stat().st_mtime_ns for folder in folders]
    assert max(started) < min(ended)
    for folder in folders:
        before = tmp_path / "members_of_one" / folder.name
        alone, shared = (_weights(run / "model.pt") for run in (before, folder))
        assert all(torch.equal(alone[name], shared[name]) for name in alone)
        assert (folder / "settings.json").read_text() == (before / "settings.json").read_text()

    # The student went on from the checkpoint of one process, on both.
    log = (begun_run / "log.txt").read_text()
    assert log.count("Going on after epoch 2 of 4") == 1
    assert log.count("Training on 2 processes") == 1
    rows = read_history(begun_run / "student" / "history.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert "val_dice" in rows[-1]
    state = _weights(begun_run / "models" / "model.pt")
    assert not any(name.startswith("module.") for name in state)

    # One process wrote the report, and nothing is left lying about.
    assert written.count("Report: ") == 1
    assert (begun_run / "report" / "index.html").is_file()
    assert not list(begun_run.rglob("*.tmp"))
    assert not list(begun_run.rglob("checkpoint.pt"))

    # To one process, the training of two is its own: there is nothing left to train.
    times = {file: file.stat().st_mtime_ns for file in begun_run.rglob("*.pt")}
    for stage in ("member_training", "student_training"):
        run_bundle(stage, **settings, output_dir=str(begun_run))
    assert {file: file.stat().st_mtime_ns for file in begun_run.rglob("*.pt")} == times


@pytest.mark.slow
def test_an_error_in_one_process_ends_both_with_one_sentence(run_two_processes, small, tmp_path):
    checkpoint = tmp_path / "members" / "member_1" / "checkpoint.pt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"damaged")
    endless = {**small, "member_num_epochs": 1_000_000}
    status, written = run_two_processes(files=FILES, **endless, output_dir=str(tmp_path))
    assert status != 0
    assert written.count("medkd: error:") == 1, written
    assert f"medkd: error: Expected {checkpoint} to hold weights only" in written
    assert not list(tmp_path.rglob("model.pt"))


def test_torchrun_without_the_overlay_is_refused(run_bundle, small, tmp_path, monkeypatch):
    torchrun = {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}
    for name, value in torchrun.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RuntimeError, match="train_members") as error:
        run_bundle(**small, output_dir=str(tmp_path))
    assert sentence_of(error.value) == (
        "Expected a `process_group` for 2 processes, but got none. Add multi_gpu.json to "
        "--config_file, or start the run without torchrun."
    )
