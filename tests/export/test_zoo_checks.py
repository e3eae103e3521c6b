"""What MONAI and its Model Zoo ask of a bundle, by MONAI's own functions."""

from __future__ import annotations

import json
import re

import pytest
import torch
from monai.bundle import ConfigWorkflow, ckpt_export, verify_metadata, verify_net_in_out

pytestmark = pytest.mark.usefixtures("restore_logging")

# The required keys of MONAI's meta_schema_20240725.json, which lies on a server; and those of a
# tensor in it.
_TENSOR = {
    "type": "object",
    "required": [
        *("type", "format", "num_channels", "spatial_shape"),
        *("dtype", "value_range"),
    ],
    "properties": {
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array", "items": {"type": ["string", "integer"]}},
        "value_range": {"type": "array", "items": {"type": "number"}},
        "channel_def": {"type": "object"},
        "is_patch_data": {"type": "boolean"},
    },
}
_TENSORS = {"type": "object", "additionalProperties": _TENSOR, "minProperties": 1}
_STRINGS = (
    *("schema", "version", "monai_version", "pytorch_version", "numpy_version", "task"),
    *("description", "authors", "copyright"),
)
_SCHEMA = {
    "type": "object",
    "required": [*_STRINGS, "required_packages_version", "network_data_format"],
    "properties": {
        **{name: {"type": "string"} for name in _STRINGS},
        "changelog": {"type": "object"},
        "required_packages_version": {"type": "object"},
        "eval_metrics": {"type": "object"},
        "references": {"type": "array", "items": {"type": "string"}},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": _TENSORS, "outputs": _TENSORS},
        },
    },
}


@pytest.fixture
def bundle(volume_bundle, monkeypatch, enter_bundle):
    """The bundle's folder, which is also the working directory, as MONAI's commands expect."""
    monkeypatch.setenv("MONAI_FAIL_ON_DUPLICATE_CONFIG", "1")
    enter_bundle(volume_bundle[0])
    return volume_bundle[0]


@pytest.fixture
def metadata(bundle):
    return json.loads((bundle / "configs" / "metadata.json").read_text())


@pytest.mark.filterwarnings("ignore:No hash value provided:UserWarning")
def test_metadata_is_valid(bundle, tmp_path):
    pytest.importorskip("jsonschema")
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(_SCHEMA))
    verify_metadata(meta_file=str(bundle / "configs/metadata.json"), filepath=str(schema))


def test_metadata_says_what_it_is(metadata):
    assert metadata["version"] in metadata["changelog"]
    for name in ("monai_version", "pytorch_version", "numpy_version"):
        assert re.fullmatch(r"\d+\.\d+\.\d+", metadata[name])
    assert all(re.match(r"\d", v) for v in metadata["required_packages_version"].values())
    assert metadata["eval_metrics"] == {
        "dataset": "blocks",
        "split": "test",
        "num_cases": 4,
        "mean_dice": 0.8,
        "mean_nll": 0.8,
    }
    data = metadata["network_data_format"]
    assert list(data["inputs"]) == ["image"]
    assert list(data["outputs"]) == ["pred"]
    assert data["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "shell", "2": "core"}
    assert "Not a medical device" in metadata["intended_use"]


def test_network_does_what_metadata_says(bundle):
    verify_net_in_out(
        net_id="network_def",
        meta_file=str(bundle / "configs/metadata.json"),
        config_file=str(bundle / "configs/inference.json"),
        device="cpu",
    )


# MONAI's ckpt_export goes through TorchScript, which torch 2.13 calls out of date.
@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_becomes_torchscript(bundle, tmp_path):
    path = tmp_path / "model.ts"
    ckpt_export(
        net_id="network_def",
        filepath=str(path),
        ckpt_file=str(bundle / "models/model.pt"),
        meta_file=str(bundle / "configs/metadata.json"),
        config_file=[str(bundle / "configs/inference.json")],
        key_in_ckpt="",
    )
    script = torch.jit.load(path)
    assert script(torch.zeros(1, 1, 12, 8, 8)).shape == (1, 3, 12, 8, 8)


def _workflow(bundle, data_dir, kind, file, **overrides):
    workflow = ConfigWorkflow(
        config_file=str(bundle / "configs" / file),
        meta_file=str(bundle / "configs/metadata.json"),
        logging_file=str(bundle / "configs/logging.conf"),
        workflow_type=kind,
        bundle_root=str(bundle),
        dataset_dir=str(data_dir),
        device="cpu",
        **overrides,
    )
    workflow.initialize()
    return workflow


def test_has_the_properties_of_inference(bundle, volume_run):
    workflow = _workflow(bundle, volume_run.parent / "imagesTr", "infer", "inference.json")
    assert workflow.check_properties() == []
    assert len(workflow.dataset_data) == 3


def test_has_the_properties_of_training(bundle, volume_run):
    workflow = _workflow(bundle, volume_run.parent, "train", "train.json", cache_rate=0.0)
    assert workflow.check_properties() == []
    assert (len(workflow.train_dataset_data), len(workflow.val_dataset_data)) == (2, 1)


def test_holds_no_large_file_and_no_path_of_a_person(bundle):
    for path in bundle.rglob("*"):
        if path.is_file():
            assert path.stat().st_size < 25_000_000
            if path.suffix != ".pt":
                assert not re.search(r"/home/|/Users/|/root/|/workspace/|/tmp/", path.read_text())


def test_training_and_inference_say_the_same(bundle):
    train, inference = (
        json.loads((bundle / "configs" / f"{name}.json").read_text())
        for name in ("train", "inference")
    )
    for key in ("network_def", "network", "windows", "inferer", "window_size"):
        assert train[key] == inference[key]


def test_an_overlay_for_several_gpus_touches_what_exists(bundle):
    train, overlay = (
        json.loads((bundle / "configs" / name).read_text())
        for name in ("train.json", "multi_gpu_train.json")
    )
    new = {"initialize", "finalize", "sampler"}
    for name in overlay:
        place = train
        for part in name.split("::"):
            if part in new:
                break
            assert part in place, name
            place = place[part]
