from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import time

import pytest
import torch

from medkd.data.preparation.case_store import CaseStore

KEYS = [letter * 64 for letter in "abcdef"]
VALUES = 2500
SIZE = 12_000  # of a file of so many float32, and a little


def content(number):
    return {"values": torch.full((VALUES,), float(number)), "name": f"case {number}"}


def refuse():
    pytest.fail("It is there, so it is not prepared.")


def fill(store, numbers):
    for number in numbers:
        store.get(KEYS[number], lambda n=number: content(n))


def held(store):
    return [number for number, key in enumerate(KEYS) if store.holds(key)]


@pytest.fixture
def store(tmp_path):
    return CaseStore(tmp_path / "cache", 10 * SIZE)


@pytest.fixture
def let_age(tmp_path):
    """Make files as old as if they were written so many seconds ago."""

    def age(number, seconds):
        path = tmp_path / "cache" / f"{KEYS[number]}.pt"
        then = time.time() - seconds
        os.utime(path, (then, then))

    return age


class TestOneFile:
    def test_is_read_by_another(self, store, tmp_path):
        first, was_read = store.get(KEYS[0], lambda: content(0))
        assert not was_read
        for other in (store, CaseStore(tmp_path / "cache", 0)):
            again, was_read = other.get(KEYS[0], refuse)
            assert was_read
            assert torch.equal(again["values"], first["values"])
            assert again["name"] == "case 0"

    @pytest.mark.parametrize(
        "damage",
        [
            lambda b: b[: len(b) // 2] + bytes([b[len(b) // 2] ^ 1]) + b[len(b) // 2 + 1 :],
            lambda b: b[: len(b) // 2],
            lambda _: b"",
            lambda b: b[1:],
        ],
        ids=["a flipped bit", "half of it", "empty", "shifted"],
    )
    def test_that_is_damaged_is_written_again(self, damage, store, tmp_path, caplog):
        fill(store, [0])
        path = tmp_path / "cache" / f"{KEYS[0]}.pt"
        path.write_bytes(damage(path.read_bytes()))
        with caplog.at_level(logging.WARNING):
            again, was_read = store.get(KEYS[0], lambda: content(0))
        assert not was_read
        assert "damaged" in caplog.text
        assert torch.equal(again["values"], content(0)["values"])
        assert store.get(KEYS[0], refuse)[1]

    def test_that_would_run_code_is_not_read(self, store, tmp_path):
        class Code:
            def __reduce__(self):
                return os.mkdir, (str(tmp_path / "ran"),)

        store.get(KEYS[0], lambda: {"values": Code()})
        _, was_read = store.get(KEYS[0], lambda: content(0))
        assert not was_read
        assert not (tmp_path / "ran").exists()

    def test_that_was_left_half_written_is_removed(self, store, tmp_path):
        fill(store, [0])
        leftover = tmp_path / "cache" / f".{KEYS[1]}.pt.0123.tmp"
        leftover.write_bytes(b"half")
        assert not store.holds(KEYS[1])
        fill(store, [2])
        assert not leftover.exists()
        assert held(store) == [0, 2]

    def test_nothing_is_not_kept(self, store):
        for _ in range(2):
            assert store.get(KEYS[0], lambda: None) == (None, False)
        assert not store.holds(KEYS[0])

    def test_a_folder_that_cannot_be_made_is_said_once(self, tmp_path, caplog):
        (tmp_path / "file").touch()
        store = CaseStore(tmp_path / "file" / "cache", 10 * SIZE)
        with caplog.at_level(logging.WARNING):
            for number in (0, 1, 0):
                assert store.get(KEYS[number], lambda n=number: content(n))[1] is False
        assert len(caplog.records) == 1

    def test_a_full_disk_is_said_once(self, store, caplog, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with caplog.at_level(logging.WARNING):
            fill(store, [0, 1])
        assert len(caplog.records) == 1
        assert "No space left" in caplog.text
        assert held(store) == []


class TestBound:
    def size(self, tmp_path):
        return sum(path.stat().st_size for path in (tmp_path / "cache").iterdir())

    @pytest.mark.parametrize("gigabytes", [0, 1, 3.5])
    def test_is_respected(self, gigabytes, tmp_path):
        store = CaseStore(tmp_path / "cache", int(gigabytes * SIZE))
        fill(store, range(6))
        assert held(store) == list(range(int(gigabytes)))
        if gigabytes:
            assert self.size(tmp_path) <= gigabytes * SIZE

    def test_what_was_not_read_for_the_longest_makes_room(self, tmp_path, let_age):
        fill(CaseStore(tmp_path / "cache", 3 * SIZE), range(3))
        for number, seconds in ((0, 100), (1, 300), (2, 200)):
            let_age(number, seconds)
        store = CaseStore(tmp_path / "cache", 3 * SIZE)
        fill(store, [3])
        assert held(store) == [0, 2, 3]
        store.get(KEYS[2], refuse)  # older than 0, and wanted now
        fill(store, [4])
        assert held(store) == [2, 3, 4]
        # All that is there was wanted since the store was opened: what comes now is not kept.
        fill(store, [5])
        assert held(store) == [2, 3, 4]
        assert self.size(tmp_path) <= 3 * SIZE

    def test_a_case_larger_than_all_removes_nothing(self, store, tmp_path, let_age):
        fill(store, range(2))
        for number in range(2):
            let_age(number, 100)
        small = CaseStore(tmp_path / "cache", SIZE // 2)
        fill(small, [2])
        assert held(store) == [0, 1]


def _prepare(directory, key, seconds, log):
    def prepare():
        with log.open("a") as file:
            file.write("prepared\n")
        time.sleep(seconds)
        return content(0)

    given, _ = CaseStore(directory, 10 * SIZE).get(key, prepare)
    assert torch.equal(given["values"], content(0)["values"])


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
class TestSeveralProcesses:
    @pytest.fixture
    def start(self, tmp_path):
        context = multiprocessing.get_context("fork")
        started = []

        def begin(key=KEYS[0], seconds=0.3):
            log = tmp_path / "log.txt"
            process = context.Process(target=_prepare, args=(tmp_path / "cache", key, seconds, log))
            process.start()
            started.append(process)
            return process

        yield begin
        for process in started:
            process.kill()
            process.join()

    def wait_for_log(self, tmp_path):
        for _ in range(500):
            if (tmp_path / "log.txt").is_file():
                return
            time.sleep(0.01)
        pytest.fail("No process began.")

    def test_prepare_one_case_once(self, start, tmp_path, store):
        processes = [start() for _ in range(3)]
        for process in processes:
            process.join(20)
            assert process.exitcode == 0
        assert (tmp_path / "log.txt").read_text() == "prepared\n"
        assert store.get(KEYS[0], refuse)[1]

    def test_do_not_wait_for_other_cases(self, start, tmp_path, store):
        other = start(seconds=60)
        self.wait_for_log(tmp_path)
        fill(store, [1])
        assert other.is_alive()
        assert held(store) == [1]

    def test_do_not_wait_for_the_dead(self, start, tmp_path, store):
        killed = start(seconds=60)
        self.wait_for_log(tmp_path)
        os.kill(killed.pid, signal.SIGKILL)
        fill(store, [0])
        assert held(store) == [0]

    def test_keep_to_one_bound(self, tmp_path):
        class Slow(CaseStore):
            """Leaves the other process time between finding room and writing."""

            def _make_room(self, size):
                found = super()._make_room(size)
                time.sleep(0.3)
                return found

        context = multiprocessing.get_context("fork")
        processes = [
            context.Process(target=fill, args=(Slow(tmp_path / "cache", SIZE), [number]))
            for number in range(2)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join(20)
            assert process.exitcode == 0
        assert len(held(CaseStore(tmp_path / "cache", 0))) == 1
