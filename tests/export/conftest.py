"""Runs that are small, quickly made and never trained: an exporter does not mind."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from PIL import Image

from medkd.data import read_manifest
from medkd.export import export_bundle
from medkd.networks import save_weights
from medkd.planning import inference_config

BUNDLES = Path(__file__).parents[2] / "bundles"
# Turned, oblique, and twice as fine as the network's grid: halfway voxels must go the same way.
AFFINE = np.array([[-0.75, 0, 0, 9], [0, 0, -1.0, 4], [0, 0.75, 0, -3], [0, 0, 0, 1]])
SHAPE = (27, 21, 15)
VOLUMES = {
    "channels": [4, 8],
    "strides": [2],
    "num_classes": 3,
    "spacing": [1.5, 2.0, 1.5],
    "patch_size": [12, 8, 8],
    "normalization": [{"_target_": "NormalizeIntensityd", "keys": "image"}],
}
SLICES = {
    "spatial_dims": 2,
    "patch_size": [16, 24],
    "num_classes": 3,
    "network_def::filters": [4, 5, 6],
    "rotate_range": [0.2],
    "normalization": VOLUMES["normalization"],
    "inferer": {
        "_target_": "SliceInferer",
        "spatial_dim": 2,
        "roi_size": "@window_size",
        "sw_batch_size": 4,
        "overlap": 0.0,
    },
    "geometry": [
        {
            "_target_": "Orientationd",
            "keys": ["image", "label"],
            "axcodes": "RAS",
            "allow_missing_keys": True,
            "labels": None,
        },
        {
            "_target_": "Resized",
            "keys": ["image", "label"],
            "spatial_size": "$[*@patch_size, -1]",
            "mode": ["trilinear", "nearest"],
            "allow_missing_keys": True,
        },
    ],
}
PICTURES = {"patch_size": [32, 32], "network_def::features": [4] * 6}


def _blocks(shape, seed):
    generator = np.random.default_rng(seed)
    coarse = generator.normal(100, 40, [size // 4 + 1 for size in shape])
    blocks = np.kron(coarse, np.ones([4] * len(shape)))
    return blocks[tuple(slice(size) for size in shape)]


def write_scan(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(_blocks(SHAPE, seed).astype(np.int16), AFFINE), path)


def write_label(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.digitize(_blocks(SHAPE, seed), [90, 120]).astype(np.uint8)
    nibabel.save(nibabel.Nifti1Image(values, AFFINE), path)


def _write_photo(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    width, height = 60, 47
    picture = np.clip(_blocks((height, width), seed), 40, 250)[..., None] * [1.0, 0.7, 0.4]
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    picture[x**2 + y**2 > 0.9] = 0  # the camera's aperture
    Image.fromarray(picture.astype(np.uint8)).save(path)


def _write_run(folder, bundle, overrides, manifest, data_dir):
    parser = ConfigParser(ConfigParser.load_config_file(BUNDLES / bundle / "train.json"))
    parser.update(overrides | {"dataset_dir": str(data_dir), "manifest": str(manifest)})
    config = {key: value for key, value in parser.get().items() if key != "_meta_"}
    frame = ConfigParser.load_config_file(BUNDLES / bundle / "inference.json")
    inference = inference_config(config, frame)
    inference["label_values"] = list(read_manifest(manifest).written_label_values)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "inference.json").write_text(json.dumps(inference))
    torch.manual_seed(0)
    parser = ConfigParser(json.loads((folder / "inference.json").read_text()))
    network = parser.get_parsed_content("network_def").eval()
    _balance(network, parser.get_parsed_content("preprocessing"), data_dir)
    save_weights(network, folder / "models" / "model.pt")
    _write_report(folder / "report")


def _balance(network, preprocessing, data_dir):
    """Let every class be the most likely one somewhere, which chance alone may not."""
    path = next(path for path in sorted(data_dir.rglob("secret_0.*")) if "label" not in str(path))
    image = preprocessing({"image": str(path)})["image"].as_tensor()[None]
    if image.dim() > max(weight.dim() for weight in network.parameters()):
        image = image[..., image.shape[-1] // 2]  # a network of slices
    padded = torch.nn.functional.pad(image, [n for s in image.shape[:1:-1] for n in (0, -s % 16)])
    with torch.no_grad():
        logits = network(padded)
        classes = logits.shape[1]
        median = logits.transpose(0, 1).reshape(classes, -1).median(dim=1).values
        biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
        last = [bias for bias in biases if bias.shape == (classes,)][-1]
        last -= median


def _write_report(folder):
    folder.mkdir()
    score = {"mean": 0.8, "std": 0.1, "ci95": [0.7, 0.9]}
    methods = {"student": {"dice": score, "nll": score, "parameters": 10, "summary": None}}
    content = {"dataset": "blocks", "split": "test", "num_cases": 4, "methods": methods}
    (folder / "metrics.json").write_text(json.dumps(content))
    rows = ["case_id,method,mean_predictive_entropy"]
    for method, values in (("student", (1, 2, 3, 4)), ("deep_ensemble", (2, 4, 3, 9))):
        rows += [f"scan_{case},{method},{value}" for case, value in enumerate(values)]
    (folder / "cases.csv").write_text("\n".join(rows))


def _manifest(folder, content, *, image, label):
    cases = [
        {
            "case_id": f"scan_{n}",
            "patient": f"p{n}",
            "image": image.format(n),
            "label": label.format(n),
        }
        for n in range(3)
    ]
    ids = [case["case_id"] for case in cases]
    splits = {"train": ids[:1], "validation": ids[1:2], "test": ids[2:]}
    path = folder / "manifest.json"
    path.write_text(json.dumps({**content, "cases": cases, "splits": splits}))
    return path


def _write_volumes(root):
    """A data set in ``imagesTr`` and ``labelsTr``; its manifest."""
    for number in range(3):
        write_scan(root / "imagesTr" / f"secret_{number}.nii.gz", number)
        write_label(root / "labelsTr" / f"secret_{number}.nii.gz", number)
    content = {
        "name": "Blocks",
        "spatial_dims": 3,
        "modality": "MR",
        "license": "CC0",
        "citation": "A. Author. Blocks. 2020.",
        "channel_names": {"0": "T1"},
        "labels": {"background": 0, "shell": 1, "core": 2},
        "label_values": {"0": 0, "1": 1, "2": 2},
    }
    return _manifest(
        root, content, image="imagesTr/secret_{}.nii.gz", label="labelsTr/secret_{}.nii.gz"
    )


@pytest.fixture(scope="session")
def volume_run(tmp_path_factory):
    """A run on volumes, with its data set in ``imagesTr`` and ``labelsTr`` beside it."""
    root = tmp_path_factory.mktemp("volumes")
    _write_run(root / "run", "kd_uniform", VOLUMES, _write_volumes(root), root)
    return root / "run"


@pytest.fixture(scope="session")
def slice_run(tmp_path_factory):
    """A run on the slices of volumes."""
    root = tmp_path_factory.mktemp("slices")
    _write_run(root / "run", "mtms_kd", SLICES, _write_volumes(root), root)
    return root / "run"


@pytest.fixture(scope="session")
def picture_run(tmp_path_factory):
    """A run on photographs."""
    root = tmp_path_factory.mktemp("pictures")
    for number in range(3):
        _write_photo(root / "images" / f"secret_{number}.png", number)
    content = {
        "name": "Eyes",
        "channel_names": {"0": "red", "1": "green", "2": "blue"},
        "labels": {"background": 0, "vessel": 1},
        "label_values": {"0": 0, "255": 1},
    }
    manifest = _manifest(root, content, image="images/secret_{}.png", label="labels/{}.png")
    _write_run(root / "run", "end_kl", PICTURES, manifest, root)
    return root / "run"


@pytest.fixture(scope="session")
def volume_bundle(volume_run, tmp_path_factory):
    """The exported bundle of ``volume_run``, and its proof."""
    output = tmp_path_factory.mktemp("exported") / "bundle"
    return output, export_bundle(volume_run, output)


@pytest.fixture
def copied_run(volume_run, tmp_path):
    """A copy that may be spoiled."""
    return Path(shutil.copytree(volume_run, tmp_path / "copied"))


@pytest.fixture
def restore_logging():
    """A bundle's logging.conf changes the root logger."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
