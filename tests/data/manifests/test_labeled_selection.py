from __future__ import annotations

import copy

import pytest

from medkd.data import select_labeled, select_unlabeled


@pytest.fixture
def cases():
    """Six cases, of which the first and the fourth are unlabeled."""
    labeled = {"label": "l", "label_2nd": "m"}
    return [
        {"case_id": name, "image": f"{name}.nii", **(labeled if name not in "ad" else {})}
        for name in "abcdef"
    ]


def ids(cases):
    return "".join(case["case_id"] for case in cases)


@pytest.mark.parametrize(
    ("num_labeled", "labeled", "unlabeled"),
    [
        (1, "b", "acdef"),
        (3, "bce", "adf"),
        (4, "bcef", "ad"),
        (0, "bcef", "ad"),
        (None, "bcef", "ad"),
    ],
)
def test_takes_the_first_labeled_ones_and_all_others(cases, num_labeled, labeled, unlabeled):
    assert ids(select_labeled(cases, num_labeled=num_labeled)) == labeled
    assert ids(select_unlabeled(cases, num_labeled=num_labeled)) == unlabeled


def test_no_label_is_handed_on(cases):
    before = copy.deepcopy(cases)
    for case in select_unlabeled(cases, num_labeled=1):
        assert sorted(case) == ["case_id", "image"]
    assert all("label_2nd" in case for case in select_labeled(cases, num_labeled=2))
    assert cases == before


def test_no_case_may_be_left_for_unlabeled(cases):
    assert select_unlabeled([cases[1], cases[2]], num_labeled=2) == []


@pytest.mark.parametrize(
    ("num_labeled", "message"),
    [(5, "at most the 4 cases that have a label, but got 5"), (-1, "at least 0, but got -1")],
)
def test_rejects_a_number_there_is_not(cases, num_labeled, message):
    for select in (select_labeled, select_unlabeled):
        with pytest.raises(ValueError, match=message):
            select(cases, num_labeled=num_labeled)


def test_rejects_cases_without_any_label(cases):
    with pytest.raises(ValueError, match="one case with a label, but got none of 2 cases"):
        select_labeled([cases[0], cases[3]], num_labeled=0)


def test_rejects_what_is_no_number(cases):
    with pytest.raises(TypeError, match="`num_labeled` to be an int, but got str"):
        select_labeled(cases, num_labeled="8")
