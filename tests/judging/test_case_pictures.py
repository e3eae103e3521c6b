from __future__ import annotations

import math

import pytest

from medkd.judging.case_pictures import ranked_cases


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({}, {}),
        ({"a": 0.5}, {"best": "a"}),
        ({"a": 0.5, "b": 0.9}, {"best": "b", "worst": "a"}),
        ({"a": 0.5, "b": 0.9, "c": 0.7}, {"best": "b", "median": "c", "worst": "a"}),
        ({"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.4}, {"best": "d", "median": "b", "worst": "a"}),
        ({"b": 0.5, "a": 0.5, "c": 0.5}, {"best": "a", "median": "b", "worst": "c"}),
        ({"a": 0.5, "b": math.nan}, {"best": "a"}),
        ({"a": math.nan}, {}),
    ],
    ids=["none", "one", "two", "three", "four", "equal", "without-score", "no-score"],
)
def test_ranks(scores, expected):
    assert ranked_cases(scores) == expected
    assert list(ranked_cases(scores)) == list(expected)
