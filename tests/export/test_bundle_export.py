from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from medkd.export import export_bundle
from medkd.export.export_proof import _WITHOUT_MEDKD, prove_bundle
from medkd.export.trained_run import read_run
from medkd.networks import save_weights

FILES = {
    "LICENSE",
    "configs/inference.json",
    "configs/logging.conf",
    "configs/metadata.json",
    "configs/multi_gpu_train.json",
    "configs/train.json",
    "docs/README.md",
    "docs/data_license.txt",
    "labels.json",
    "models/model.pt",
}


def _files(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_writes_the_files_of_a_bundle(volume_bundle):
    bundle, _ = volume_bundle
    scripts = {
        f"scripts/{n}.py" for n in ("__init__", "errors", "grid_resampling", "restore_geometry")
    }
    assert _files(bundle) == FILES | scripts


def test_segments_a_volume_as_its_run_does(volume_bundle):
    """Half of the scan's voxels lie halfway between two of the network's."""
    _, proof = volume_bundle
    assert proof.num_different == 0
    assert proof.num_voxels == 27 * 21 * 15
    assert proof.classes > 1
    assert proof.case == "a case of split test"


@pytest.mark.parametrize("case", ["a case of split test", "a made-up image"])
def test_segments_a_volume_slice_by_slice_as_its_run_does(slice_run, tmp_path, case):
    run = shutil.copytree(slice_run, tmp_path / "run")
    if case == "a made-up image":
        config = json.loads((run / "config.json").read_text())
        config["dataset_dir"] = str(tmp_path / "nowhere")
        (run / "config.json").write_text(json.dumps(config))
    proof = export_bundle(run, tmp_path / "bundle")
    assert (proof.num_different, proof.case) == (0, case)
    assert proof.num_voxels == (27 * 21 * 15 if "split" in case else 25 * 37 * 9)
    assert proof.classes > 1
    readme = (tmp_path / "bundle" / "docs" / "README.md").read_text()
    assert "resized to 16 x 24 pixels a slice, normalized" in readme
    assert "and segmented slice by slice. Windows of 16 x 24 voxels." in readme
    assert " mm, normalized" not in readme
    assert "One 2-D DynUNet, distilled from one teacher: segments shell, core in MR" in readme
    assert "`DATA/imagesTr`" in readme


def test_segments_a_photograph_as_its_run_does(picture_run, tmp_path):
    proof = export_bundle(picture_run, tmp_path / "bundle", name="eyes")
    assert (proof.num_different, proof.num_voxels, proof.classes) == (0, 60 * 47, 2)
    assert "scripts/field_of_view.py" in _files(tmp_path / "bundle")


def test_makes_an_image_up_where_the_data_set_is_not_there(copied_run, tmp_path):
    config = json.loads((copied_run / "config.json").read_text())
    config["dataset_dir"] = str(tmp_path / "nowhere")
    (copied_run / "config.json").write_text(json.dumps(config))
    proof = export_bundle(copied_run, tmp_path / "bundle")
    assert proof.case == "a made-up image"
    assert proof.num_different == 0


def test_names_neither_medkd_nor_a_path_nor_a_case(volume_bundle, volume_run):
    bundle, _ = volume_bundle
    for path in (bundle / "configs").glob("*.json"):
        if path.name != "metadata.json":  # which says by which version it was exported
            assert "medkd" not in path.read_text()
    for path in bundle.rglob("*"):
        if path.is_file() and path.suffix != ".pt":
            text = path.read_text()
            for secret in ("secret", "scan_", str(volume_run.parent)):
                assert secret not in text, path


def test_a_bundle_cannot_import_medkd_in_its_proof():
    command = [sys.executable, "-c", _WITHOUT_MEDKD.replace("runpy.run_module", "import medkd #")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "No module named 'medkd'" in done.stderr


class TestProof:
    def test_rejects_other_weights(self, volume_bundle, volume_run, tmp_path):
        bundle = shutil.copytree(volume_bundle[0], tmp_path / "bundle")
        state = torch.load(bundle / "models" / "model.pt", weights_only=True)
        torch.save({k: -v for k, v in state.items()}, bundle / "models" / "model.pt")
        with pytest.raises(ValueError, match=r"to segment as its run does, but \d+ of 8505 voxels"):
            prove_bundle(bundle, read_run(volume_run))

    def test_rejects_missing_weights(self, volume_bundle, volume_run, tmp_path):
        bundle = shutil.copytree(volume_bundle[0], tmp_path / "bundle")
        state = torch.load(bundle / "models" / "model.pt", weights_only=True)
        state.popitem()
        torch.save(state, bundle / "models" / "model.pt")
        with pytest.raises(RuntimeError, match="to segment an image without medkd, but got"):
            prove_bundle(bundle, read_run(volume_run))


def test_leaves_nothing_where_the_proof_fails(volume_run, tmp_path, monkeypatch):
    def fail(*_):
        raise ValueError("Expected a proof.")

    monkeypatch.setattr("medkd.export.bundle_export.prove_bundle", fail)
    with pytest.raises(ValueError, match="a proof"):
        export_bundle(volume_run, tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_rejects_weights_of_another_network(copied_run, tmp_path):
    torch.save({"a": torch.zeros(1)}, copied_run / "models" / "model.pt")
    with pytest.raises(ValueError, match="to hold weights of this UNet"):
        export_bundle(copied_run, tmp_path / "bundle")


@pytest.mark.parametrize("name", ["config.json", "inference.json", "models/model.pt"])
def test_rejects_a_run_that_is_not_finished(copied_run, tmp_path, name):
    (copied_run / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"it has no {name}"):
        export_bundle(copied_run, tmp_path / "bundle")


def test_rejects_a_run_whose_manifest_is_elsewhere(copied_run, volume_run):
    config = json.loads((copied_run / "config.json").read_text())
    config["manifest"] = "data_manifests/gone.json"
    (copied_run / "config.json").write_text(json.dumps(config))
    with pytest.raises(FileNotFoundError, match="or say --manifest"):
        read_run(copied_run)
    found = read_run(copied_run, manifest=volume_run.parent / "manifest.json")
    assert found.manifest.name == "Blocks"


def test_rejects_a_folder_that_exists(volume_run, tmp_path):
    with pytest.raises(FileExistsError, match="a new folder for the output"):
        export_bundle(volume_run, tmp_path)


@pytest.mark.parametrize(
    ("name", "match"),
    [("My Student", "small letters"), ("vessel_detection", "without 'detection'")],
)
def test_rejects_a_name_that_monai_label_takes_wrongly(volume_run, tmp_path, name, match):
    with pytest.raises(ValueError, match=match):
        export_bundle(volume_run, tmp_path / "bundle", name=name)


def test_channels_of_several_files_are_proved_as_one(copied_run, tmp_path):
    """nnU-Net's way of keeping them; the bundle reads one file of two channels."""
    root = tmp_path / "data"
    root.mkdir()
    manifest = json.loads((copied_run / "config.json").read_text())["manifest"]
    content = json.loads(Path(manifest).read_text())
    content["channel_names"] = {"0": "T1", "1": "T2"}
    generator = np.random.default_rng(1)
    for case in content["cases"]:
        case["image"] = [f"{case['case_id']}_{channel:04d}.nii.gz" for channel in range(2)]
        for file in case["image"]:
            values = generator.normal(0, 9, (9, 8, 7)).astype(np.float32)
            nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), root / file)
    (root / "manifest.json").write_text(json.dumps(content))
    for name in ("config.json", "inference.json"):
        config = json.loads((copied_run / name).read_text()) | {"num_channels": 2}
        config |= {"dataset_dir": str(root), "manifest": str(root / "manifest.json")}
        (copied_run / name).write_text(json.dumps(config))
    inference = json.loads((copied_run / "inference.json").read_text())
    network = ConfigParser(inference).get_parsed_content("network_def")
    save_weights(network, copied_run / "models" / "model.pt")
    assert export_bundle(copied_run, tmp_path / "bundle").num_different == 0
