"""What a configuration promises before it is run."""

import json
from pathlib import Path

import pytest
from monai.bundle import ConfigParser, ConfigWorkflow

BUNDLE = Path(__file__).parents[2] / "bundles" / "end_kl"
OVERLAYS = ["member.json", "evaluate.json", "multi_gpu.json"]


def _load(name):
    def no_duplicates(pairs):
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), f"duplicate keys in {name}: {keys}"
        return dict(pairs)

    return json.loads((BUNDLE / name).read_text(), object_pairs_hook=no_duplicates)


def _strings(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


@pytest.fixture
def phantom(tmp_path):
    from medkd.data import fundus_phantom

    fundus_phantom(tmp_path, image_size=64, num_train=1, num_validation=1, num_test=1)
    return {"dataset_dir": str(tmp_path), "manifest": str(tmp_path / "manifest.json")}


@pytest.mark.parametrize("name", ["train.json", "inference.json", "metadata.json", *OVERLAYS])
def test_has_no_duplicate_key_and_no_positional_id(name):
    for text in _strings(_load(name)):
        assert "#" not in text
        assert not any(part.isdigit() for part in text.split("::")[1:])


@pytest.mark.parametrize("name", OVERLAYS)
def test_overlay_touches_only_ids_that_exist(name):
    train = ConfigParser(_load("train.json"))
    for key in _load(name):
        assert key in train, f"{name} sets {key}, which train.json does not have"


def test_a_member_is_trained_by_one_process():
    """It takes back what several processes do together; a device is a process's own."""
    assert set(_load("multi_gpu.json")) - {"device"} <= set(_load("member.json"))


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


def test_metadata_fits_the_network():
    metadata, train = _load("metadata.json"), _load("train.json")
    formats = metadata["network_data_format"]
    assert formats["inputs"]["image"]["num_channels"] == train["num_channels"]
    assert formats["outputs"]["pred"]["num_channels"] == train["num_classes"]
    assert list(formats["outputs"]["pred"]["channel_def"].values()) == ["background", "vessel"]
    assert metadata["version"] in metadata["changelog"]


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
