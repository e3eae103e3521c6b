from __future__ import annotations

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from medkd.cli.main import main
from medkd.handlers import read_history


@pytest.fixture
def scans(tmp_path):
    """A folder in the shape of nnU-Net: two channels, five cases."""
    folder = tmp_path / "scans"
    generator = np.random.default_rng(0)
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for case in range(5):
        label = np.zeros((10, 9, 8), dtype=np.uint8)
        label[2:7, 2:6, 2:5] = 1
        for channel in range(2):
            image = (label * 50 + generator.uniform(1, 9, label.shape)).astype(np.float32)
            path = folder / "imagesTr" / f"c{case}_{channel:04d}.nii.gz"
            nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), path)
        path = folder / "labelsTr" / f"c{case}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(label, np.eye(4)), path)
    return folder


def test_plans_for_a_folder_and_for_its_manifest(scans, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    assert main(["plan", str(scans), "--output", str(bundle), "--num_members", "3"]) == 0
    output = capsys.readouterr().out
    assert f"run training --config_file {bundle}/train.json" in output
    train = json.loads((bundle / "train.json").read_text())
    assert (train["num_members"], train["num_channels"], train["num_classes"]) == (3, 2, 2)
    again = ["plan", str(bundle / "manifest.json"), "--dataset_dir", str(scans)]
    assert main([*again, "--output", str(tmp_path / "again"), "--num_members", "3"]) == 0
    assert (tmp_path / "again" / "fingerprint.json").read_bytes() == (
        bundle / "fingerprint.json"
    ).read_bytes()
    assert main([*again, "--output", str(bundle)]) == 1
    assert "exists: --overwrite?" in capsys.readouterr().err
    assert main([*again, "--output", str(bundle), "--overwrite", "--method", "kd_uniform"]) == 0
    assert json.loads((bundle / "train.json").read_text())["distillation_weight"] == 1.0


@pytest.mark.slow
def test_a_planned_student_learns_from_features(scans, tmp_path):
    bundle, run = tmp_path / "bundle", tmp_path / "run"
    arguments = ["plan", str(scans), "--output", str(bundle), "--method", "end_crd"]
    assert main([*arguments, "--num_members", "1"]) == 0
    short = {"num_epochs": 1, "member_num_epochs": 1, "steps_per_epoch": 1, "val_interval": 1}
    settings = {"dropout": 0, "split": "validation", "output_dir": str(run), **short}
    subprocess.run(
        [sys.executable, "-m", "monai.bundle", "run", "training"]
        + ["--config_file", str(bundle / "train.json")]
        + [text for name, value in settings.items() for text in (f"--{name}", str(value))],
        check=True,
        cwd=tmp_path,
    )
    row = read_history(run / "student" / "history.csv")[0]
    weighted = 0.3 * row["label"] + 0.7 * row["distillation"] + 0.05 * row["bottleneck"]
    assert row["loss"] == pytest.approx(weighted, rel=1e-3)
    assert row["bottleneck"] > 0


@pytest.mark.parametrize("suffix", [".nrrd", ".mhd"])
def test_plans_alike_for_other_formats(scans, as_format, tmp_path, suffix):
    assert main(["plan", str(scans), "--output", str(tmp_path / "nifti")]) == 0
    as_format(scans, suffix)
    assert main(["data", "check", str(scans)]) == 0
    assert main(["plan", str(scans), "--output", str(tmp_path / "bundle")]) == 0
    nifti, other = (
        json.loads((tmp_path / name / "fingerprint.json").read_text())
        for name in ("nifti", "bundle")
    )
    assert other == nifti
    manifest = json.loads((tmp_path / "bundle" / "manifest.json").read_text())
    assert manifest["cases"][0]["image"] == [f"imagesTr/c0_000{c}{suffix}" for c in range(2)]


def test_plans_for_images_without_a_label(scans, tmp_path, capsys):
    for case in (1, 3):
        (scans / "labelsTr" / f"c{case}.nii.gz").unlink()
    bundle = tmp_path / "bundle"
    arguments = ["plan", str(scans), "--output", str(bundle), "--method", "dmd"]
    assert main(arguments) == 0
    assert "2 of them have no label." in (bundle / "README.md").read_text()
    manifest = str(bundle / "manifest.json")
    capsys.readouterr()
    again = ["plan", manifest, "--dataset_dir", str(scans), "--output", str(tmp_path / "again")]
    assert main(again) == 1
    assert "2 of 3 have none: the method dmd learns from such" in capsys.readouterr().err


def test_says_how_much_memory_is_needed(scans, tmp_path, capsys):
    arguments = ["plan", str(scans), "--output", str(tmp_path / "bundle"), "--memory", "0.0001"]
    assert main(arguments) == 1
    assert "which takes 0.0" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()


def test_rejects_pictures(tmp_path, capsys):
    case = {"case_id": "a", "patient": "1", "image": "a.png", "label": "b.png"}
    names = ["a", "b", "c"]
    content = {
        "name": "eyes",
        "channel_names": {"0": "gray"},
        "labels": {"background": 0, "vessel": 1},
        "label_values": {"0": 0, "1": 1},
        "cases": [
            case | {"case_id": n, "patient": n, "image": f"{n}.png", "label": f"{n}_l.png"}
            for n in names
        ],
        "splits": dict(zip(("train", "validation", "test"), [[n] for n in names], strict=True)),
    }
    path = tmp_path / "eyes.json"
    path.write_text(json.dumps(content))
    assert main(["plan", str(path), "--output", str(tmp_path / "bundle")]) == 1
    assert (
        "a data set of pictures: bundles/end_kl is the bundle for them" in capsys.readouterr().err
    )


def test_rejects_a_folder_with_another_folder(scans, tmp_path, capsys):
    arguments = ["plan", str(scans), "--dataset_dir", str(scans), "--output", str(tmp_path / "b")]
    assert main(arguments) == 1
    assert "Expected a manifest with --dataset_dir" in capsys.readouterr().err


def test_rejects_a_patient_of_a_manifest(tmp_path, capsys):
    arguments = ["plan", "set.json", "--patient", "(a)", "--output", str(tmp_path / "b")]
    assert main(arguments) == 1
    assert "Expected a folder with --patient, but got the manifest set.json" in (
        capsys.readouterr().err
    )


def test_rejects_a_manifest_without_a_validation_split(scans, tmp_path, capsys):
    bundle = tmp_path / "bundle"
    assert main(["plan", str(scans), "--output", str(bundle)]) == 0
    content = json.loads((bundle / "manifest.json").read_text())
    del content["splits"]["validation"]
    path = tmp_path / "two.json"
    path.write_text(json.dumps(content))
    capsys.readouterr()
    arguments = ["plan", str(path), "--dataset_dir", str(scans), "--output", str(tmp_path / "b")]
    assert main(arguments) == 1
    assert "to be one of 'train', 'test' for scans, but got 'validation'" in capsys.readouterr().err
