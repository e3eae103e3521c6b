"""What a configuration promises before it is run."""

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow

BUNDLE = Path(__file__).parents[2] / "bundles" / "end_kl"


def _load(name):
    return json.loads((BUNDLE / name).read_text())


@pytest.fixture
def phantom(tmp_path):
    from medkd.data import fundus_phantom

    fundus_phantom(tmp_path, image_size=64, num_train=1, num_validation=1, num_test=1)
    return {"dataset_dir": str(tmp_path), "manifest": str(tmp_path / "manifest.json")}


@pytest.mark.parametrize(
    "key", ["network_def", "network", "inferer", "num_channels", "num_classes"]
)
def test_inference_repeats_training(key):
    assert _load("inference.json")[key] == _load("train.json")[key]


def test_inference_prepares_an_image_as_training_does():
    """The same transforms on image and mask, without those of the label."""
    config = _load("train.json")
    assert config["preprocessing"] == "$@reading + @normalization"
    prepared = config["reading"] + config["normalization"]
    train = [t for t in prepared if "EncodeLabeld" not in t["_target_"]]
    inference = _load("inference.json")["preprocessing"]["transforms"]
    assert [t["_target_"] for t in inference] == [t["_target_"] for t in train]
    for ours, theirs in zip(inference, train, strict=True):
        same = {k: v for k, v in theirs.items() if k != "keys"}
        assert {k: v for k, v in ours.items() if k != "keys"} == same
        assert set(ours["keys"] if isinstance(ours["keys"], list) else [ours["keys"]]) <= set(
            theirs["keys"] if isinstance(theirs["keys"], list) else [theirs["keys"]]
        )


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (["train.json"], "train"),
        (["train.json", "member.json"], "train"),
        (["inference.json"], "infer"),
    ],
)
def test_has_the_properties_monai_asks_for(files, kind, phantom, tmp_path, monkeypatch):
    monkeypatch.chdir(BUNDLE.parents[1])
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLE / name) for name in files],
        meta_file=str(BUNDLE / "metadata.json"),
        logging_file=False,
        workflow_type=kind,
        output_dir=str(tmp_path / "run"),
        **({"initialize": []} | (phantom if kind == "train" else {})),
        **(
            {"dataset_dir": str(tmp_path / "images")}
            if kind == "infer"
            else {"online_teacher": False}
        ),
        **({"distillation_weight": 0} if kind == "train" else {}),
    )
    workflow.initialize()
    assert workflow.check_properties() == []
