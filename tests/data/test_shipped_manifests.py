from __future__ import annotations

import re

import pytest

from medkd.data import load_cases, read_manifest

SIZES = {
    "chase_db1": {"train": 14, "validation": 2, "test": 4},
    "drive": {"train": 17, "validation": 3, "test": 20},
    "fives": {"train": 540, "validation": 60, "test": 200},
    "hrf": {"train": 12, "validation": 3, "test": 30},
    "stare": {"train": 9, "validation": 1, "test": 10},
}


def test_every_manifest_is_listed(manifests_dir):
    assert sorted(path.stem for path in manifests_dir.glob("*.json")) == sorted(SIZES)


@pytest.fixture(params=sorted(SIZES))
def manifest(request, manifests_dir):
    return request.param, read_manifest(manifests_dir / f"{request.param}.json")


def test_is_valid_and_has_the_stated_split(manifest):
    name, content = manifest
    assert {split: len(ids) for split, ids in content.splits.items()} == SIZES[name]
    assert sum(SIZES[name].values()) == len(content.cases)
    assert content.num_channels == 3
    assert content.class_names == ("background", "vessel")


def test_says_where_from_and_on_which_terms(manifest):
    _, content = manifest
    for key in ("description", "modality", "source", "license", "citation", "changes"):
        assert getattr(content, key), key


def test_chase_db1_is_split_by_child(manifests_dir):
    manifest = read_manifest(manifests_dir / "chase_db1.json")
    children = {
        split: sorted({case.patient for case in manifest.split_cases(split)})
        for split in manifest.splits
    }
    assert children == {
        "train": ["01", "02", "03", "04", "05", "06", "07"],
        "validation": ["08"],
        "test": ["09", "10"],
    }


def test_fives_groups_are_balanced(manifests_dir):
    manifest = read_manifest(manifests_dir / "fives.json")
    for split, count in {"train": 135, "validation": 15, "test": 50}.items():
        for disease in "ADGN":
            ids = [i for i in manifest.splits[split] if i.endswith(f"_{disease}")]
            assert len(ids) == count


def test_neighbors_of_stare_share_a_split(manifests_dir):
    manifest = read_manifest(manifests_dir / "stare.json")
    split_of = {
        int(re.sub(r"\D", "", i)): split for split, ids in manifest.splits.items() for i in ids
    }
    neighbors = [number for number in split_of if number + 1 in split_of]
    assert neighbors
    assert all(split_of[number] == split_of[number + 1] for number in neighbors)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_chase_db1_is_all_there(manifests_dir, chase_dir, split):
    cases = load_cases(manifests_dir / "chase_db1.json", chase_dir, split=split)
    assert len(cases) == SIZES["chase_db1"][split]
    assert all({"label_2nd", "mask"} <= case.keys() for case in cases)
