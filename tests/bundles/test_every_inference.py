"""``inference.json`` of every bundle does to an image what ``train.json`` does."""

import json
from pathlib import Path

import pytest

from medkd.planning import inference_config

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = sorted(path.parent.name for path in BUNDLES.glob("*/inference.json"))


def _load(bundle):
    """Training and inference."""
    files = (BUNDLES / bundle / f"{name}.json" for name in ("train", "inference"))
    return [json.loads(file.read_text()) for file in files]


@pytest.mark.parametrize("bundle", NAMES)
def test_is_what_the_rule_makes_of_the_training(bundle):
    train, inference = _load(bundle)
    made = inference_config(train, inference)
    assert made == inference
    assert list(made) == list(inference)


@pytest.mark.parametrize("bundle", NAMES)
def test_windows_are_those_of_evaluation(bundle):
    train, inference = _load(bundle)
    windows = {k: v for k, v in inference["windows"].items() if k != "progress"}
    assert windows == train["inferer"]
    assert inference["window_size"] == train["window_size"]


@pytest.mark.parametrize("bundle", NAMES)
def test_knows_nothing_of_labels(bundle):
    _, inference = _load(bundle)
    for step in inference["preprocessing"]["transforms"]:
        assert "label" not in step["keys"]
