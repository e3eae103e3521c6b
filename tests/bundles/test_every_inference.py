"""``inference.json`` of every bundle does to an image what ``train.json`` does."""

import json
from pathlib import Path

import pytest

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = sorted(path.parent.name for path in BUNDLES.glob("*/inference.json"))
PLACES = {"imports", "dataset_dir", "model_file", "output_dir", "initialize", "run"}
# Compared below, part by part.
PARTS = {"reading", "preprocessing", "inferer"}
OWN = {
    "dmd": {"network"},  # training has the peers in it
    # The networks are trained on small patches, and larger windows overlap less.
    "end_kl": {"patch_size"},
    "end_crd": {"patch_size"},
}


def _load(bundle):
    """Training and inference."""
    files = (BUNDLES / bundle / f"{name}.json" for name in ("train", "inference"))
    return [json.loads(file.read_text()) for file in files]


def _prepared(config):
    """What is done to image and mask, in order: class, key, and what is said for that key."""
    transforms = config["preprocessing"]
    if isinstance(transforms, dict):
        transforms = transforms["transforms"]
    if isinstance(transforms, str):
        names = transforms.removeprefix("$").split(" + ")
        transforms = [t for name in names for t in config[name.removeprefix("@")]]
    for transform in transforms:
        keys = transform["keys"]
        keys = keys if isinstance(keys, list) else [keys]
        for index, key in enumerate(keys):
            if key not in ("@image", "@mask"):
                continue
            settings = {
                name: value[index] if isinstance(value, list) else value
                for name, value in transform.items()
                if name not in ("_target_", "keys", "allow_missing_keys")
            }
            yield transform["_target_"], key, settings


@pytest.mark.parametrize("bundle", NAMES)
def test_says_the_same_wherever_both_say_something(bundle):
    train, inference = _load(bundle)
    shared = (train.keys() & inference.keys()) - PLACES - PARTS - OWN.get(bundle, set())
    assert {"network_def", "num_channels", "num_classes", "image", "pred"} <= shared
    assert {key for key in shared if train[key] != inference[key]} == set()


@pytest.mark.parametrize("bundle", NAMES)
def test_prepares_an_image_as_training_does(bundle):
    train, inference = _load(bundle)
    expected = list(_prepared(train))
    assert len(expected) >= 4
    assert list(_prepared(inference)) == expected


@pytest.mark.parametrize("bundle", NAMES)
def test_windows_are_those_of_evaluation(bundle):
    train, inference = _load(bundle)
    windows = inference.get("windows", inference["inferer"])
    shown = {} if "windows" not in inference else {"progress": True}  # a volume takes long
    assert windows == train["inferer"] | shown
