"""The semi-supervised bundle with a network of pictures on the slices of volumes."""

import json

import nibabel
import numpy as np
import pytest

from medkd.handlers import read_history
from medkd.teachers import load_network

FILES = ("train.json", "cardiac_slices.json")


@pytest.fixture(scope="module")
def tiny(small_volumes):
    names = ("dataset_dir", "manifest", "device", "num_classes", "val_interval")
    return {
        **{name: small_volumes[name] for name in names},
        "num_labeled": 2,
        "num_epochs": 2,
        "steps_per_epoch": 2,
        "batch_size": 3,
        "unlabeled_batch_size": 2,
        "patch_size": [24, 16],
        "channels": [4, 8],
        "strides": [2],
    }


@pytest.fixture(scope="module")
def slices_run(tiny, run_command, tmp_path_factory):
    output_dir = tmp_path_factory.mktemp("slices") / "run"
    result = run_command(bundle="dmd", files=FILES, **tiny, output_dir=str(output_dir))
    assert result.returncode == 0, result.stderr
    return output_dir


def test_volumes_are_judged_by_a_network_of_pictures(slices_run):
    network = load_network(slices_run / "config.json", slices_run / "models" / "model.pt")
    assert {weight.dim() for weight in network.parameters()} <= {1, 4}
    metrics = json.loads((slices_run / "report" / "metrics.json").read_text())
    assert metrics["num_cases"] == 3
    # Slices of 22 x 20 pixels of 1.5 mm are 24 x 16 pixels now; their distance is what it was.
    lowest = metrics["volume"]["spacing"]["lowest"]
    assert lowest == pytest.approx([1.5 * 22 / 24, 1.513 * 20 / 16, 2.01], abs=0.02)
    assert {"label_1", "label_2", "mutual"} <= set(
        read_history(slices_run / "student" / "history.csv")[-1]
    )
    assert "resized to [24, 16]" in (slices_run / "report" / "index.html").read_text()


def test_inference_comes_back_to_the_grid_of_the_file(
    slices_run, run_command, volumes_dir, volume_grid, tmp_path
):
    result = run_command(
        "run",
        files=(str(slices_run / "inference.json"),),
        dataset_dir=str(volumes_dir / "images"),
        output_dir=str(tmp_path / "maps"),
        device="cpu",
        with_uncertainty=True,
    )
    assert result.returncode == 0, result.stderr
    shape, affine = volume_grid
    for name in ("segmentation", "uncertainty"):
        written = nibabel.load(tmp_path / "maps" / f"scan_0_{name}.nii.gz")
        assert written.shape == shape
        np.testing.assert_allclose(written.affine, affine, atol=1e-4)
