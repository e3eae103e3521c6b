"""``kill -9`` at any moment of a semi-supervised run, then the same command."""

import signal
import time

import pytest
import torch

from medkd.handlers import read_history

# Where to kill: as soon as this file exists.
MOMENTS = [
    "labels_only/member_0/checkpoint.pt",
    "student/checkpoint.pt",
    "models/peer_2.pt",
    "models/model.pt",
]
FILES = ["labels_only/member_0/model.pt", "models/model.pt", "models/peer_2.pt"]


def _curves(run_dir):
    rows = read_history(run_dir / "student" / "history.csv")
    assert rows
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("method", [None, "mean_teacher.json"], ids=["peers", "mean-teacher"])
def test_killed_run_ends_with_the_bits_of_an_unbroken_one(
    small_volumes, start_command, tmp_path, method
):
    settings = {k: v for k, v in small_volumes.items() if k != "member_num_epochs"}
    settings |= {"num_labeled": 2, "unlabeled_batch_size": 1, "num_epochs": 5}
    settings |= {"bundle": "dmd", "files": ("train.json", *([method] if method else []))}
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    unbroken = start_command(**settings, output_dir=straight)
    assert unbroken.wait(timeout=300) == 0, unbroken.stderr.read()

    for moment in MOMENTS:
        process = start_command(**settings, output_dir=killed)
        deadline = time.monotonic() + 120
        while not (killed / moment).exists() and process.poll() is None:
            assert time.monotonic() < deadline, f"{moment} never came"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()

    last = start_command(**settings, output_dir=killed)
    assert last.wait(timeout=300) == 0, last.stderr.read()
    for name in FILES:
        expected, got = (torch.load(run / name, weights_only=True) for run in (straight, killed))
        assert expected.keys() == got.keys()
        for weight in expected:
            assert torch.equal(expected[weight], got[weight]), f"{weight} of {name}"
    assert not list(killed.rglob("checkpoint.pt"))
    assert _curves(killed) == _curves(straight)
