from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medkd.reports import MethodCost


def test_rejects_no_method(make_results):
    with pytest.raises(ValueError, match="Expected `methods` to have at least one method"):
        make_results([])


def test_rejects_a_name_that_comes_twice(make_method, make_results):
    with pytest.raises(ValueError, match=r"distinct names, but got \['student', 'student'\]"):
        make_results([make_method("student"), make_method("student")])


def test_rejects_one_class(make_results):
    with pytest.raises(ValueError, match="two classes or more"):
        make_results(class_names=["background"])


def test_rejects_methods_on_other_cases(make_method, make_results):
    methods = [make_method("single"), make_method("student", case_ids=["a", "b", "x"])]
    with pytest.raises(ValueError, match=r"`scores` of student .* \['a', 'b', 'c'\]"):
        make_results(methods)


def test_rejects_seconds_of_other_cases(make_method, make_results):
    method = replace(make_method("student"), seconds_per_case={"a": 1.0})
    with pytest.raises(ValueError, match=r"`seconds_per_case` of student .* but got \['a'\]"):
        make_results([method])


def test_rejects_no_case(make_method, make_results):
    with pytest.raises(ValueError, match="at least one, but got"):
        make_results([make_method("student", case_ids=[])])


@pytest.mark.parametrize("name", ["image", "mask"])
def test_rejects_a_picture_of_another_size(make_picture, name):
    with pytest.raises(ValueError, match=rf"Expected `{name}` .* but got shape \(20, 24\)"):
        replace(make_picture(), **{name: np.zeros((20, 24))})


def test_rejects_a_prediction_of_another_size(make_picture):
    with pytest.raises(ValueError, match=r"Expected `prediction of student` .* \(24, 20\), but"):
        replace(make_picture(), methods={"student": (np.zeros((20, 24)), np.zeros((24, 20)))})


def test_rejects_a_volume(make_picture):
    volume = np.zeros((4, 5, 6))
    with pytest.raises(ValueError, match="of a 2-D case"):
        replace(make_picture(), image=volume, label=volume, mask=None, methods={})


def test_metrics_keep_their_order(make_results):
    assert make_results().metrics[:4] == ("dice", "mcc", "ece", "brier")


def test_rejects_a_shift_without_strength(make_results):
    with pytest.raises(ValueError, match=r"strength 1 or more, but got \('blur', 0\)"):
        make_results(shift=("blur", 0))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((-1, None, None, 1), "`multiply_adds` to be 0 or more, or None, but got -1"),
        ((None, None, float("nan"), 1), "`training_seconds` to be 0 or more, or None, but got nan"),
        ((None, None, None, 0), "`num_passes` to be 1 or more, but got 0"),
    ],
)
def test_rejects_a_cost_that_cannot_be(given, message):
    with pytest.raises(ValueError, match=message):
        MethodCost(*given)
