"""What holds for every test."""

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

_REPOSITORY = Path(__file__).parents[1]
_REAL_DATA = _REPOSITORY.parent / "shared" / "data"


def pytest_configure():
    """Processes that share a machine out take one thread each, and so do those they start."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ["OMP_NUM_THREADS"] = "1"
        torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Tests that need an accelerator are left out where there is none."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs an accelerator")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def one_thread():
    """What more threads compute may differ in the last bit: they share an array out otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def real_data():
    """Folder of a real data set by name, beside the repository; tests skip without it."""

    def find(name):
        if not (_REAL_DATA / name).is_dir():
            pytest.skip(f"{name} is not beside the repository")
        return _REAL_DATA / name

    return find


SMALL_NETWORKS = {
    2: ("end_kl", {"patch_size": [32, 32]}),
    3: (
        "kd_uniform",
        {
            "channels": [4, 8],
            "strides": [2],
            "spacing": [1.0, 0.9, 1.5],
            "patch_size": [12, 12, 8],
        },
    ),
    "slices": (
        "mtms_kd",
        {
            "spatial_dims": 2,
            "patch_size": [16, 24],
            "num_classes": 5,
            "geometry": [
                {
                    "_target_": "Resized",
                    "keys": ["image", "label"],
                    "spatial_size": "$[*@patch_size, -1]",
                    "mode": ["trilinear", "nearest"],
                }
            ],
            "inferer": {
                "_target_": "SliceInferer",
                "spatial_dim": 2,
                "roi_size": "@window_size",
                "sw_batch_size": 4,
                "overlap": 0.0,
            },
        },
    ),
}
VOLUME_CLASSES = ("background", "esophagus", "heart", "trachea", "aorta")


def _write_cases(folder, spatial_dims):
    """Two images of a data set, and its manifest."""
    generator = np.random.default_rng(0)
    names, classes, suffix = ("scan_0", "scan_1"), VOLUME_CLASSES, "nii.gz"
    if spatial_dims == 2:
        classes, suffix = ("background", "vessel"), "png"
    for role in ("images", "labels"):
        (folder / role).mkdir(parents=True)
    for name in names:
        path = folder / "images" / f"{name}.{suffix}"
        if spatial_dims == 3:
            values = np.kron(generator.normal(40, 150, (5, 5, 3)), np.ones((4, 4, 4)))
            affine = np.array([[0, 0.8, 0, -4], [-0.9, 0, 0, 9], [0, 0, -2.4, 31], [0, 0, 0, 1]])
            nibabel.save(nibabel.Nifti1Image(values[:, :17, :9].astype(np.int16), affine), path)
        else:
            Image.fromarray(generator.integers(60, 250, (40, 50, 3), dtype=np.uint8)).save(path)
        (folder / "labels" / f"{name}.{suffix}").touch()
    content = {
        "name": "made up",
        "spatial_dims": spatial_dims,
        "channel_names": {str(i): f"channel {i}" for i in range(1 if spatial_dims == 3 else 3)},
        "labels": {name: index for index, name in enumerate(classes)},
        "label_values": {str(index): index for index in range(len(classes))},
        "cases": [
            {"case_id": name, "patient": name}
            | {role: f"{role}s/{name}.{suffix}" for role in ("image", "label")}
            for name in names
        ],
        "splits": {"train": [names[0]], "validation": [names[1]]},
    }
    (folder / "manifest.json").write_text(json.dumps(content))


@pytest.fixture
def small_run(tmp_path):
    """``small_run(kind)``: folder of a run whose small network was never trained.

    2 for pictures, 3 for volumes, ``"slices"`` for volumes slice by slice.

    Its data set lies beside it, in ``data``.
    """
    from monai.bundle import ConfigParser

    from medkd.networks import save_weights
    from medkd.planning import inference_config

    def make(kind=3):
        folder, data = tmp_path / "run", tmp_path / "data"
        bundle, changes = SMALL_NETWORKS[kind]
        train, frame = (
            json.loads((_REPOSITORY / "bundles" / bundle / name).read_text())
            for name in ("train.json", "inference.json")
        )
        train |= changes
        if kind == 2:
            train["network_def"]["features"] = [4] * 6
        config = inference_config(train, frame)
        torch.manual_seed(0)
        network = ConfigParser(json.loads(json.dumps(config))).get_parsed_content("network_def")
        save_weights(network, folder / "models" / "model.pt")
        (folder / "inference.json").write_text(json.dumps(config))
        (folder / "config.json").write_text(
            json.dumps({"manifest": str(data / "manifest.json"), "dataset_dir": str(data)})
        )
        _write_cases(data, 2 if kind == 2 else 3)
        return folder

    return make


@pytest.fixture
def make_run(tmp_path):
    """``make_run(**ids)``: a run in an empty folder, whose configuration says these things."""
    from monai.bundle import ConfigParser

    from medkd.runs import Run

    def make(**ids):
        layout = {
            "bundle_root": str(tmp_path),
            "output_dir": str(tmp_path),
            "training_dir": str(tmp_path),
            "model_file": str(tmp_path / "model.pt"),
            "device": "cpu",
        }
        return Run(ConfigParser(layout | ids))

    return make
