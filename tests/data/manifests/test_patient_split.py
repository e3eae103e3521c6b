from __future__ import annotations

import re

import pytest

from medkd.data import split_patients, suggest_patients
from medkd.data.manifests.patient_split import recognize_patients

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


@pytest.mark.parametrize(
    ("paths", "people"),
    [
        (["i/patient001_frame01.nii", "i/patient001_frame12.nii"], ["patient001"] * 2),
        (["sub-01/ses-1/a.nii", "sub-01/ses-2/a.nii"], ["sub-01"] * 2),
        (["Subject_7_a.nii", "Subject_8.nii", "Subject_7_b.nii"], ["Subject_7", "Subject_8"] * 2),
    ],
)
def test_recognizes_words_for_a_person(paths, people):
    expression = recognize_patients(paths)
    assert [re.search(expression, path)[1] for path in paths] == people[: len(paths)]


@pytest.mark.parametrize(
    "paths",
    [
        ["patient1_a.nii", "patient2_a.nii"],  # one case each, nothing to group
        ["patient1_a.nii", "patient1_b.nii", "3_a.nii"],  # one says nothing
        ["case1_a.nii", "case1_b.nii"],  # a case is no person
        ["hippocampus_001.nii", "hippocampus_003.nii"],
    ],
)
def test_recognizes_nothing_that_may_be_wrong(paths):
    assert recognize_patients(paths) is None


@pytest.mark.parametrize(
    ("paths", "groups"),
    [
        (["i/1L.jpg", "i/1R.jpg", "i/2L.jpg", "i/2R.jpg"], 2),
        (["7_OD.png", "7_OS.png", "8_OD.png"], 2),
        (["p01_pre.nii.gz", "p01_post.nii.gz", "p02_pre.nii.gz"], 2),
    ],
)
def test_suggests(paths, groups):
    expression = suggest_patients(paths)
    assert len({re.search(expression, path)[1] for path in paths}) == groups


@pytest.mark.parametrize("paths", [["la_1.nii", "la_2.nii"], ["1.png", "2.png"], ["a_1_0000.nii"]])
def test_suggests_nothing(paths):
    assert suggest_patients(paths) is None


class TestSplitPatients:
    @pytest.mark.parametrize("count", [3, 4, 5, 10, 14, 100])
    def test_deals_everybody_once_and_leaves_no_split_empty(self, count):
        splits = split_patients([str(i) for i in range(count)], fractions=SHARES, seed=1)
        assert all(splits.values())
        assert sorted(int(i) for people in splits.values() for i in people) == [*range(count)]
        assert len(splits["train"]) == pytest.approx(0.7 * count, abs=1.5)

    @pytest.mark.parametrize("name", ["a", "b", "c"])
    def test_a_tiny_share_still_gets_a_patient(self, name):
        shares = {"a": 0.49, "b": 0.49, "c": 0.49} | {name: 0.02}
        splits = split_patients(["1", "2", "3"], fractions=shares, seed=0)
        assert [len(people) for people in splits.values()] == [1, 1, 1]

    def test_does_not_depend_on_order_or_repetition(self):
        people = [str(i) for i in range(20)]
        split = split_patients(people, fractions=SHARES, seed=0)
        assert split == split_patients(people[::-1] * 2, fractions=SHARES, seed=0)

    @pytest.mark.parametrize("shares", [{"a": 0.5, "b": 0.4}, {"a": 1.0, "b": 0.0}])
    def test_rejects_shares(self, shares):
        with pytest.raises(ValueError, match="`fractions` to be above 0 and to sum to 1"):
            split_patients(["1", "2", "3"], fractions=shares, seed=0)
