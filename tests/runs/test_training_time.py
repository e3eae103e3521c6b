from __future__ import annotations

import pytest

from medkd.runs.training_time import read_histories, training_seconds

HISTORIES = {
    "member 0": [{"seconds": 10.0}, {"seconds": 20.0}],
    "member 1": [{"seconds": 50.0}],
    "dropout network": [{"seconds": 7.0}],
    "student": [{"seconds": 100.0}],
}


@pytest.mark.parametrize(
    ("method", "seconds"),
    [
        ("single", 40.0),
        ("test_time_augmentation", 40.0),
        ("mc_dropout", 7.0),
        ("deep_ensemble", 80.0),
        ("student", 180.0),  # its teacher had to be trained first
    ],
)
def test_counts_every_network_that_a_method_needs(method, seconds):
    assert training_seconds(method, HISTORIES) == seconds


def test_is_unknown_where_a_network_left_no_times():
    histories = {**HISTORIES, "member 1": [{"loss": 1.0}]}
    assert training_seconds("deep_ensemble", histories) is None
    assert training_seconds("student", histories) is None
    assert training_seconds("mc_dropout", histories) == 7.0
    assert training_seconds("mc_dropout", {}) is None


def test_reads_the_curves_that_are_there(tmp_path):
    for folder in ("members/member_1", "student"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "history.csv").write_text("epoch,seconds\n1.0,2.5\n")
    found = read_histories(
        tmp_path / "student",
        members_dir=tmp_path / "members",
        num_members=2,
        dropout_dir=tmp_path / "dropout",
    )
    row = {"epoch": 1.0, "seconds": 2.5}
    assert found == {"member 1": [row], "student": [row]}


def test_reads_those_of_a_run_without_an_ensemble(tmp_path):
    for folder in ("labels_only/member_0", "student"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "history.csv").write_text("epoch,seconds\n1.0,2.5\n")
    found = read_histories(tmp_path / "student", labels_only_dir=tmp_path / "labels_only")
    assert list(found) == ["labels-only network", "student"]


def test_calls_a_teacher_a_teacher(tmp_path):
    (tmp_path / "members/member_0").mkdir(parents=True)
    (tmp_path / "members/member_0/history.csv").write_text("epoch,seconds\n1.0,2.5\n")
    found = read_histories(
        tmp_path / "student",
        members_dir=tmp_path / "members",
        num_members=1,
        member_name="teacher",
    )
    assert list(found) == ["teacher 0"]
    assert training_seconds("teacher", found) == 2.5


@pytest.mark.parametrize(
    ("method", "seconds"), [("labels_only", 30.0), ("student", 70.0), ("peer_ensemble", 70.0)]
)
def test_peers_are_trained_in_the_time_of_their_student(method, seconds):
    histories = {"labels-only network": [{"seconds": 30.0}], "student": [{"seconds": 70.0}]}
    assert training_seconds(method, histories) == seconds
