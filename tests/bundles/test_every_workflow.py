"""MONAI finds in every bundle what it asks of a workflow: the check of its own tools."""

from pathlib import Path

import pytest
from monai.bundle import ConfigWorkflow

BUNDLES = Path(__file__).parents[2] / "bundles"
NAMES = sorted(path.parent.name for path in BUNDLES.glob("*/train.json"))
# A student of features asks for trained members: their bundles' other files stand for them.
OF_FEATURES = {"end_crd", "mtms_kd"}
TRAININGS = [
    *((name, ["train.json"]) for name in NAMES if name not in OF_FEATURES),
    *((name, ["train.json", "member.json"]) for name in NAMES),
    ("dmd", ["train.json", "mean_teacher.json"]),
    ("mtms_kd", ["train.json", "labels_only.json"]),
]
# Besides what makes it small: students without an ensemble that is there.
OVERRIDES = {
    "dmd": {"num_labeled": 2, "channels": [4, 8], "strides": [2]},
    "mtms_kd": {"channels": [4, 4, 4], "strides": [2, 2]},
    "end_kl": {"distillation_weight": 0},
    "end_crd": {},
    "kd_uniform": {"distillation_weight": 0},
    "kd_diverse": {"distillation_weight": 0},
}


def _missing(bundle, files, kind, **overrides):
    workflow = ConfigWorkflow(
        config_file=[str(BUNDLES / bundle / name) for name in files],
        meta_file=str(BUNDLES / bundle / "metadata.json"),
        logging_file=False,
        workflow_type=kind,
        initialize=[],
        **overrides,
    )
    workflow.initialize()
    return workflow.check_properties()


@pytest.mark.parametrize(
    ("bundle", "files"), TRAININGS, ids=lambda part: part if isinstance(part, str) else part[-1]
)
def test_of_training(bundle, files, small, small_volumes, tmp_path, monkeypatch):
    monkeypatch.chdir(BUNDLES.parent)
    data, names = small, ("dataset_dir", "manifest", "patch_size")
    if (BUNDLES / bundle / "train.json").read_text().count('"spatial_dims": 3'):
        data, names = small_volumes, (*names, "num_classes", "spacing")
    folders = {name: data[name] for name in names} | {"output_dir": str(tmp_path / "run")}
    assert _missing(bundle, files, "train", **folders, **OVERRIDES[bundle]) == []


@pytest.mark.parametrize("bundle", NAMES)
def test_of_inference(bundle, phantom_dir, volumes_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(BUNDLES.parent)
    planar = (BUNDLES / bundle / "inference.json").read_text().count('"spatial_dims": 2')
    images = (phantom_dir if planar else volumes_dir) / "images"
    folders = {"dataset_dir": str(images), "output_dir": str(tmp_path / "run")}
    assert _missing(bundle, ["inference.json"], "infer", **folders) == []
