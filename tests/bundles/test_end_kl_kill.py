"""``kill -9`` at any moment, then the same command."""

import signal
import time

import pytest
import torch

from medkd.handlers import read_history

# Where to kill: as soon as this file exists.
MOMENTS = [
    "members/member_0/checkpoint.pt",
    "members/member_1/checkpoint.pt",
    "soft_labels/index.json",
    "student/checkpoint.pt",
    "models/model.pt",
]


def _weights(output_dir):
    files = ["members/member_0/model.pt", "members/member_1/model.pt", "models/model.pt"]
    return [torch.load(output_dir / name, weights_only=True) for name in files]


@pytest.mark.slow
def test_killed_run_ends_with_the_bits_of_an_unbroken_one(small, start_command, tmp_path):
    settings = {**small, "member_num_epochs": 4, "num_epochs": 5}
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    unbroken = start_command(**settings, output_dir=straight)
    assert unbroken.wait(timeout=300) == 0, unbroken.stderr.read()

    finished = {}
    for moment in MOMENTS:
        process = start_command(**settings, output_dir=killed)
        deadline = time.monotonic() + 120
        while not (killed / moment).exists() and process.poll() is None:
            assert time.monotonic() < deadline, f"{moment} never came"
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for file in killed.glob("members/member_*/model.pt"):
            finished.setdefault(file, file.stat().st_mtime_ns)

    last = start_command(**settings, output_dir=killed)
    assert last.wait(timeout=300) == 0, last.stderr.read()
    for expected, got in zip(_weights(straight), _weights(killed), strict=True):
        assert expected.keys() == got.keys()
        for name in expected:
            assert torch.equal(expected[name], got[name]), name
    # Finished members were not trained again, and nothing of the kills is left.
    assert finished
    assert all(file.stat().st_mtime_ns == then for file, then in finished.items())
    assert not list(killed.rglob("checkpoint.pt"))
    assert _curves(killed) == _curves(straight)


def _curves(run_dir):
    rows = read_history(run_dir / "student" / "history.csv")
    assert rows
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]
