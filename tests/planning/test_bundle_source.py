"""Bundles are what their source says, and the source says each thing once."""

import json
import re
from pathlib import Path

import pytest

from medkd.files import bundle_names, bundle_source
from medkd.planning import METHODS, compose_bundle, write_bundles
from medkd.planning.bundle_source import merge

REPOSITORY = Path(__file__).parents[2]


def test_bundles_are_current(tmp_path):
    """After a change of ``bundles/source``: ``make bundles``."""
    write_bundles(tmp_path)
    for path in sorted(tmp_path.rglob("*.*")):
        name = path.relative_to(tmp_path)
        assert (REPOSITORY / "bundles" / name).read_text() == path.read_text(), f"stale: {name}"


@pytest.mark.parametrize("name", bundle_names())
def test_bundles_have_no_file_that_the_source_does_not_have(name):
    folder = REPOSITORY / "bundles" / name
    found = {str(path.relative_to(folder)) for path in folder.rglob("*.json")}
    assert found == {file.removeprefix("datasets/") for file in compose_bundle(name)}


@pytest.mark.parametrize("name", bundle_names())
def test_no_id_is_called_temperature(name):
    """What softens, what sharpens and what calibrates have a name each."""
    for config in compose_bundle(name).values():
        assert "temperature" not in config


def test_every_bundle_is_a_method_to_plan_with():
    """``medkd plan`` offers what it finds; what it knows of them is said in Python."""
    assert sorted(METHODS) == bundle_names()


def test_what_a_person_writes_is_less_than_half_of_what_is_there():
    """A source that repeats itself again is seen here."""
    lines = {
        name: sum(len(path.read_text().splitlines()) for path in folder.rglob("*.json"))
        for name, folder in (("source", bundle_source()), ("all", bundle_source().parent))
    }
    assert lines["source"] < 1700
    assert lines["source"] < 0.5 * (lines["all"] - lines["source"])


@pytest.mark.parametrize("name", bundle_names())
def test_no_word_of_the_source_is_left(name):
    """A misspelt one would be an id of its own."""
    of_monai = {"_target_", "_disabled_", "_mode_", "_meta_"}
    text = json.dumps(compose_bundle(name))
    assert set(re.findall(r'"(_[a-z]+_)"', text)) <= of_monai


def test_an_overlay_changes_what_it_names_and_nothing_else():
    base = {"a": {"b": 1, "c": [1, 2]}, "steps": [{"_target_": "x.A", "p": 1}, {"_target_": "B"}]}
    before = json.dumps(base)
    overlay = {
        "a": {"c": [3]},
        "steps": {"_changed_": {"A": {"p": 2}}, "_before_": {"B": [{"_target_": "C"}]}},
    }
    merged = merge(base, overlay)
    assert merged["a"] == {"b": 1, "c": [3]}
    assert [step["_target_"] for step in merged["steps"]] == ["x.A", "C", "B"]
    assert merged["steps"][0]["p"] == 2
    merged["steps"][2]["changed_later"] = merged["a"]["changed_later"] = True
    assert json.dumps(base) == before


def test_components_of_a_list_go_by_their_class():
    base = {"steps": [{"_target_": "x.A"}, {"_target_": "y.B", "p": 1}]}
    assert merge(base, {"steps": {"_removed_": ["A"]}}) == {"steps": [base["steps"][1]]}
    assert merge(base, {"steps": ["whole"]}) == {"steps": ["whole"]}


def test_a_new_name_goes_behind_the_one_before_it():
    base = {"a": 1, "b": 2, "c": 3}
    overlay = {"b": "_kept_", "new": 0, "newer": 0, "a": 5}
    merged = merge(base, overlay)
    assert list(merged) == ["a", "b", "new", "newer", "c"]
    assert merged == {"a": 5, "b": 2, "c": 3, "new": 0, "newer": 0}
    assert list(merge(base, {"new": 0, "b": 7})) == ["new", "a", "b", "c"]


def test_bases_lie_one_on_top_of_the_other(tmp_path):
    """The later wins, a base has its own bases, and all paths are relative to their file."""
    files = {
        "family.json": {"id": "family", "only": 1, "list": [{"_target_": "A"}]},
        "parts/of_all.json": {"_base_": "../family.json", "id": "part", "part": 2},
        "extra.json": {"id": "extra"},
        "new/train.json": {
            "_base_": ["../parts/of_all.json", "../extra.json"],
            "network_def": {"_target_": "BasicUNet"},
            "inferer": {"_target_": "SimpleInferer"},
            "preprocessing": [],
            "list": {"_removed_": ["A"]},
        },
        "new/inference.json": {},
        "new/datasets/other.json": {"id": "other"},
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(json.dumps(content))
    composed = compose_bundle("new", source=tmp_path)
    assert sorted(composed) == ["datasets/other.json", "inference.json", "train.json"]
    train = composed["train.json"]
    assert (train["id"], train["only"], train["part"], train["list"]) == ("extra", 1, 2, [])
    assert not any("_base_" in config for config in composed.values())


def test_a_component_of_another_class_is_replaced_unless_it_says_otherwise():
    base = {"loss": {"_target_": "Dice", "smooth": 1}}
    other = {"loss": {"_target_": "Focal", "gamma": 2}}
    assert merge(base, other) == other
    kept = {"loss": {"_target_": "Focal", "_merged_": True}}
    assert merge(base, kept) == {"loss": {"_target_": "Focal", "smooth": 1}}


@pytest.mark.parametrize(
    ("overlay", "match"),
    [
        ({"_removed_": ["gone"]}, "`gone` to be there to be removed"),
        ({"gone": "_kept_"}, "`gone` to be there to be kept"),
        ({"steps": {"_removed_": ["B"]}}, "one B in a list to change, but got"),
        ({"steps": {"_changed_": {"B": {}}}}, "one B in a list to change, but got"),
        ({"steps": {"_before_": {"A": []}}}, "one A in a list to change, but got"),
    ],
)
def test_rejects_an_overlay_of_what_is_not_there(overlay, match):
    base = {"steps": [{"_target_": "A"}, {"_target_": "A"}]}
    with pytest.raises(ValueError, match=match):
        merge(base, overlay)


def test_rejects_a_bundle_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="Expected a bundle in"):
        compose_bundle("none")
