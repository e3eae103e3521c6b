from __future__ import annotations

import pytest

from medkd.runs.training_time import AS_SHIPPED, training_seconds

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


def test_the_student_as_shipped_costs_what_the_student_costs():
    assert training_seconds(AS_SHIPPED, HISTORIES) == 180.0


def test_is_unknown_for_a_predictor_of_the_users_own():
    assert training_seconds("student_turned", HISTORIES) is None
