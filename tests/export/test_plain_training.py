"""An exported student goes on learning from labels, by MONAI alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import torch
from monai.bundle import ConfigParser, run

from medkd.export import export_bundle
from medkd.export.export_proof import _WITHOUT_MEDKD

pytestmark = pytest.mark.usefixtures("restore_logging")
FAST = {"device": "cpu", "num_epochs": 1, "num_patches": 1, "cache_rate": 0.0}


@pytest.fixture
def bundle(volume_bundle, tmp_path, enter_bundle):
    """A copy, for training replaces the weights."""
    folder = shutil.copytree(volume_bundle[0], tmp_path / "bundle")
    enter_bundle(folder)
    return folder


def _weights(bundle):
    state = torch.load(bundle / "models" / "model.pt", weights_only=True)
    return state.get("model", state)


def _cases(volume_run, count):
    images, labels = (
        sorted((volume_run.parent / name).glob("*.nii.gz")) for name in ("imagesTr", "labelsTr")
    )
    pairs = list(zip(images, labels, strict=True))[:count]
    return [{"image": str(image), "label": str(label)} for image, label in pairs]


@pytest.mark.parametrize("validation", [0, 1], ids=["few labels", "validated"])
def test_replaces_the_weights_as_monai_label_runs_it(bundle, volume_run, validation):
    """MONAI Label hands over both lists; with fewer than five labels the second one is empty."""
    before = _weights(bundle)
    run(
        run_id="run",
        init_id=None,
        final_id=None,
        meta_file=str(bundle / "configs" / "metadata.json"),
        config_file=str(bundle / "configs" / "train.json"),
        **{
            **FAST,
            "bundle_root": str(bundle),
            "train#trainer#max_epochs": 1,
            "train#dataset#data": _cases(volume_run, 2),
            "validate#dataset#data": _cases(volume_run, validation),
        },
    )
    after = _weights(bundle)
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[key], after[key]) for key in before)
    assert [path.name for path in (bundle / "models").iterdir()] == ["model.pt"]


@pytest.mark.parametrize("keys", ["image", ["image"]], ids=str)
@pytest.mark.parametrize("kind", ["volume_run", "slice_run"])
def test_labels_move_with_their_images(request, tmp_path, monkeypatch, enter_bundle, kind, keys):
    """However the run's own file names what it moves."""
    source = request.getfixturevalue(kind)
    folder = shutil.copytree(source, tmp_path / "run")
    config = json.loads((folder / "inference.json").read_text())
    for transform in config["preprocessing"]["transforms"]:
        if transform["_target_"] in {"Orientationd", "Spacingd", "Resized"}:
            transform |= {"keys": keys, "allow_missing_keys": True}
            if "mode" in transform:
                first = transform["mode"][0] if isinstance(transform["mode"], list) else "bilinear"
                transform["mode"] = first
    (folder / "inference.json").write_text(json.dumps(config))
    bundle = tmp_path / "bundle"
    monkeypatch.setattr("medkd.export.bundle_export.prove_bundle", lambda *_: None)  # elsewhere
    export_bundle(folder, bundle)
    enter_bundle(bundle)
    parser = ConfigParser(ConfigParser.load_config_file(bundle / "configs" / "train.json"))
    for case in _cases(source, 2):
        for transform in parser.get_parsed_content("steps"):
            case = transform(case)
        assert case["label"].shape == case["image"].shape
        assert torch.equal(case["label"].affine, case["image"].affine)
        assert set(case["label"].unique().tolist()) == {0.0, 1.0, 2.0}


def test_a_student_of_slices_learns_from_volumes(slice_run, tmp_path, enter_bundle):
    bundle = tmp_path / "bundle"
    export_bundle(slice_run, bundle)
    enter_bundle(bundle)
    before = _weights(bundle)
    run(
        run_id="run",
        config_file=str(bundle / "configs" / "train.json"),
        **{
            **FAST,
            "train#dataset#data": _cases(slice_run, 2),
            "validate#dataset#data": _cases(slice_run, 1),
        },
    )
    after = _weights(bundle)
    assert any(not torch.equal(before[key], after[key]) for key in before)


def test_starts_from_the_student(bundle, volume_run):
    """At a learning rate of zero nothing changes: the weights that are written are its own."""
    before = _weights(bundle)
    run(
        run_id="run",
        config_file=str(bundle / "configs" / "train.json"),
        learning_rate=0.0,
        **{**FAST, "train#dataset#data": _cases(volume_run, 2), "validate#dataset#data": []},
    )
    after = _weights(bundle)
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_rejects_weights_of_another_network(bundle, volume_run):
    state = _weights(bundle)
    state.popitem()
    torch.save(state, bundle / "models" / "model.pt")
    with pytest.raises(RuntimeError, match=r"evaluator|trainer|state_dict|CheckpointLoader"):
        run(
            run_id="run",
            config_file=str(bundle / "configs" / "train.json"),
            **{**FAST, "train#dataset#data": _cases(volume_run, 2), "validate#dataset#data": []},
        )


@pytest.mark.slow
def test_trains_without_medkd_in_two_processes(bundle, volume_run):
    """The overlay for several GPUs, on the CPU: ranks meet, one writes."""
    launcher = bundle / "without_medkd.py"
    launcher.write_text(_WITHOUT_MEDKD)
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"),
        *(str(launcher), "run", "--dataset_dir", str(volume_run.parent)),
        *("--config_file", "['configs/train.json','configs/multi_gpu_train.json']"),
        *("--num_epochs", "1", "--num_patches", "1", "--cache_rate", "0.0"),
    ]
    before = _weights(bundle)
    done = subprocess.run(command, cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    after = _weights(bundle)
    assert before.keys() == after.keys()
    assert any(not torch.equal(before[key], after[key]) for key in before)
