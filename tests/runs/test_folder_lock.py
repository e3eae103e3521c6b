"""A second process is kept out, and a dead one keeps nobody out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from medkd.runs.folder_lock import lock_folder

HOLD = """
import sys, time
from medkd.runs.folder_lock import lock_folder
lock = lock_folder(sys.argv[1])
print("locked", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path):
    """Another process at work in the folder."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "locked\n"
        yield process
        process.kill()


def test_says_who_is_at_work_and_lets_go_when_that_process_is_killed(tmp_path, other):
    match = f"{tmp_path} to be free, but process {other.pid} on .*, since .*, is at work in it"
    with pytest.raises(RuntimeError, match=match):
        lock_folder(tmp_path)
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert lock_folder(tmp_path).is_held


def test_is_shared_within_a_process_and_ends_with_its_last_user(tmp_path):
    first = lock_folder(tmp_path)
    assert lock_folder(tmp_path / ".." / tmp_path.name) is first
    ask = [sys.executable, "-c", HOLD.replace("time.sleep(60)", ""), str(tmp_path)]
    assert subprocess.run(ask, capture_output=True, check=False).returncode == 1
    del first
    assert subprocess.run(ask, capture_output=True, check=False).returncode == 0


def test_a_folder_that_was_removed_is_locked_anew(tmp_path):
    first = lock_folder(tmp_path / "run")
    (tmp_path / "run" / ".lock").unlink()
    assert not first.is_held
    second = lock_folder(tmp_path / "run")
    assert second is not first
    assert second.is_held
    second.release()
    assert not second.is_held


@pytest.mark.usefixtures("other")
def test_a_damaged_note_of_the_owner_is_no_hindrance(tmp_path):
    (tmp_path / ".lock").write_text("{")
    with pytest.raises(RuntimeError, match="but another process is at work in it"):
        lock_folder(tmp_path)
