from __future__ import annotations

import json

import pytest
import torch

from medkd.files import sha256_of
from medkd.networks import load_state
from medkd.runs import open_deployment


@pytest.mark.parametrize("spatial_dims", [2, 3])
def test_opens_a_run_wherever_it_lies(small_run, tmp_path, monkeypatch, spatial_dims):
    folder = small_run(spatial_dims).rename(tmp_path / "moved")
    monkeypatch.chdir(tmp_path)
    run = open_deployment("moved", device="cpu", output_dir="maps")
    assert not run.network.training
    weights = load_state(folder / "models" / "model.pt")
    assert all(torch.equal(weights[k], v) for k, v in run.network.state_dict().items())
    assert run.spatial_dims == len(run.window_size) == spatial_dims
    assert (run.num_channels, run.num_classes) == ((3, 2) if spatial_dims == 2 else (1, 5))
    assert len(run.class_names) == run.num_classes
    assert (str(run.output_dir), run.device.type, run.amp) == ("maps", "cpu", False)


@pytest.mark.parametrize(
    ("kind", "seen"), [(2, (2, None, 2)), (3, (3, None, 3)), ("slices", (2, 2, 3))]
)
def test_says_what_it_sees_and_what_it_segments(small_run, kind, seen):
    run = open_deployment(small_run(kind), device="cpu")
    assert (run.spatial_dims, run.slice_axis, run.image_dims) == seen


@pytest.mark.parametrize("target", ["monai.inferers.inferer.SliceInferer", "expression"])
def test_slices_are_known_however_they_are_written(small_run, target):
    path = small_run("slices") / "inference.json"
    config = json.loads(path.read_text())
    config["windows"] |= {"_target_": target}
    if target == "expression":
        config["imports"].append("$import monai")
        config["windows"] = "$monai.inferers.SliceInferer(spatial_dim=2, roi_size=@patch_size)"
    path.write_text(json.dumps(config))
    assert open_deployment(path.parent, device="cpu").slice_axis == 2


def test_predictions_go_to_the_run_by_default(small_run):
    folder = small_run(3)
    assert open_deployment(folder, device="cpu").output_dir == folder / "predictions"


def test_makes_the_maps_that_are_wanted(small_run):
    folder = small_run(3)
    inferer = open_deployment(folder, device="cpu", with_uncertainty=True).inferer
    assert (inferer.with_uncertainty, inferer.with_probability) == (True, False)


def test_rejects_a_folder_that_is_no_run(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder of a finished run, but there is no"):
        open_deployment(tmp_path)


def test_rejects_a_configuration_without_an_id(small_run):
    path = small_run(3) / "inference.json"
    config = json.loads(path.read_text())
    del config["postprocessing"]
    path.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="to have `postprocessing`, but it does not"):
        open_deployment(path.parent)


def test_rejects_missing_weights(small_run):
    folder = small_run(3)
    (folder / "models" / "model.pt").unlink()
    with pytest.raises(FileNotFoundError, match=r"file of weights at .*model\.pt"):
        open_deployment(folder, device="cpu")


def test_rejects_weights_of_another_network(small_run):
    path = small_run(3) / "inference.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"channels": [4, 9]}))
    with pytest.raises(ValueError, match="trained with another architecture"):
        open_deployment(path.parent, device="cpu")


def test_rejects_weights_that_are_not_those_that_were_judged(small_run):
    folder = small_run(3)
    shipped = folder / "models" / "shipped.pt"
    (folder / "models" / "model.pt").rename(shipped)
    path = folder / "inference.json"
    changed = {"model_file": "$@run_dir + '/models/shipped.pt'"}
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    record = folder / "deployment.json"
    record.write_text(json.dumps({"sha256": sha256_of(shipped)}))
    assert open_deployment(folder, device="cpu").model_file == shipped

    record.write_text(json.dumps({"sha256": "0" * 64}))
    match = f"{shipped} to be the weights that {record} tells of, with the SHA-256 000000000000"
    with pytest.raises(ValueError, match=match):
        open_deployment(folder, device="cpu")


@pytest.mark.parametrize("device", ["abacus", "cuda:999"])
def test_rejects_a_device_that_is_not_there(small_run, device):
    with pytest.raises(ValueError, match=f"Expected `device` to be .* but got '{device}'"):
        open_deployment(small_run(3), device=device)


def test_a_run_of_a_version_before_is_opened_as_it_was_judged(small_run):
    """It says less: no temperature, no label values, and windows that blend logits."""
    path = small_run(2) / "inference.json"
    new = open_deployment(path.parent, device="cpu")
    config = json.loads(path.read_text())
    config["inferer"] = config.pop("windows")
    for name in ("calibration_temperature", "label_values", "this_run"):
        del config[name]
    del config["postprocessing"]["transforms"][2]["label_values"]
    config["network"] = "$@network_def.to(@device)"
    config["model_file"] = "$@run_dir + '/models/model.pt'"
    path.write_text(json.dumps(config))
    old = open_deployment(path.parent, device="cpu")
    image = torch.randn(1, 3, 70, 50)
    torch.testing.assert_close(old.inferer(image, old.network), new.inferer(image, new.network))
    assert (old.temperature, old.label_values, old.record) == (1.0, [0, 1], {})
