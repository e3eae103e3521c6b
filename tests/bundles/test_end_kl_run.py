"""One whole run, and what is done with it afterwards."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

METHODS = ["single", "deep_ensemble", "student"]


def _read(path):
    with Image.open(path) as picture:
        return np.array(picture)


@pytest.fixture
def finished_run(run_bundle, small, tmp_path, capsys):
    run_bundle(**small, output_dir=str(tmp_path / "run"))
    return tmp_path / "run", capsys.readouterr().out


def test_trains_distils_judges_and_reports(finished_run, run_bundle, small):
    output_dir, printed = finished_run
    for name in ["members/member_0/model.pt", "members/member_1/model.pt", "report/index.html"]:
        assert (output_dir / name).is_file()
    metrics = json.loads((output_dir / "report" / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["split"], metrics["num_cases"]) == (
        "fundus_phantom",
        "test",
        4,
    )
    assert list(metrics["methods"]) == METHODS
    for method in metrics["methods"].values():
        assert {"dice", "mcc", "ece", "brier", "nll"} <= set(method)
        assert set(method["nll"]) == {"mean", "std"}
    with (output_dir / "report" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * len(METHODS)
    assert "student" in printed
    assert str(output_dir / "report" / "index.html") in printed
    # Weights only, and nothing but the student's.
    state = torch.load(output_dir / "models" / "model.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    assert [path.name for path in (output_dir / "models").iterdir()] == ["model.pt"]
    for name in ["config.json", "environment.json", "log.txt"]:
        assert (output_dir / name).is_file()

    # The same command once more has nothing to train.
    before = {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.pt")}
    labels = {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.npy")}
    run_bundle(**small, output_dir=str(output_dir))
    assert {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.pt")} == before
    assert {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.npy")} == labels

    # The configuration it wrote can be run as it is.
    config = json.loads((output_dir / "config.json").read_text())
    assert config["num_members"] == 2
    assert config["network_def"]["features"] == [4] * 6


def test_single_is_the_mean_of_the_members_and_the_ensemble_their_mean_forecast(finished_run):
    output_dir, _ = finished_run
    metrics = json.loads((output_dir / "report" / "metrics.json").read_text())["methods"]
    # The Brier score is convex: a mean forecast scores no worse than the forecasts' mean score.
    assert metrics["deep_ensemble"]["brier"]["mean"] <= metrics["single"]["brier"]["mean"] + 1e-9
    assert metrics["deep_ensemble"]["parameters"] == 2 * metrics["single"]["parameters"]


def test_finished_run_is_evaluated_on_another_data_set(finished_run, run_bundle, tmp_path):
    from medkd.data import fundus_phantom

    output_dir, _ = finished_run
    other = tmp_path / "other"
    manifest = fundus_phantom(
        other, image_size=64, num_train=1, num_validation=1, num_test=1, seed=5
    )
    run_bundle(
        "run",
        ("train.json", "evaluate.json"),
        dataset_dir=str(other),
        manifest=manifest,
        split="validation",
        patch_size=[32, 32],
        output_dir=str(output_dir),
        device="cpu",
    )
    report = output_dir / "evaluation" / "fundus_phantom_validation"
    metrics = json.loads((report / "metrics.json").read_text())
    assert metrics["split"] == "validation"
    assert metrics["num_cases"] == 2
    assert (report / "index.html").is_file()


def test_folder_of_images_is_segmented(finished_run, run_bundle, phantom_dir):
    output_dir, _ = finished_run
    run_bundle(
        "run",
        ("inference.json",),
        dataset_dir=str(phantom_dir / "images"),
        run_dir=str(output_dir),
        patch_size=[32, 32],
        device="cpu",
        **{"network_def::features": [4] * 6},
    )
    images = sorted((phantom_dir / "images").iterdir())
    for image in images:
        maps = {
            name: _read(output_dir / "predictions" / f"{image.stem}_{name}.png")
            for name in ("segmentation", "probability", "uncertainty")
        }
        assert all(values.shape == _read(image).shape[:2] for values in maps.values())
        assert set(np.unique(maps["segmentation"])) <= {0, 255}
        assert maps["probability"].dtype == maps["uncertainty"].dtype == np.uint16
        # A pixel is segmented where its probability is above one half, and not where below.
        half = 65535 / 2
        assert (maps["segmentation"][maps["probability"] > half + 1] == 255).all()
        assert (maps["segmentation"][maps["probability"] < half - 1] == 0).all()


def test_teacher_in_the_loop_needs_no_soft_labels(finished_run, run_bundle, small, tmp_path):
    output_dir, _ = finished_run
    run_bundle(
        **small,
        output_dir=str(tmp_path / "online"),
        members_dir=str(output_dir / "members"),
        online_teacher=True,
    )
    assert not (tmp_path / "online" / "soft_labels").exists()
    assert (tmp_path / "online" / "models" / "model.pt").is_file()


def test_one_member_by_itself_is_the_member_of_the_whole_job(
    finished_run, run_bundle, small, tmp_path
):
    output_dir, _ = finished_run
    single = {k: v for k, v in small.items() if k != "num_epochs"}
    run_bundle(
        files=("train.json", "member.json"), **single, output_dir=str(tmp_path / "one"), member=1
    )
    whole = torch.load(output_dir / "members" / "member_1" / "model.pt", weights_only=True)
    alone = torch.load(tmp_path / "one" / "members" / "member_1" / "model.pt", weights_only=True)
    assert all(torch.equal(whole[name], alone[name]) for name in whole)


def test_stale_soft_labels_are_written_again_with_a_reason(
    finished_run, run_bundle, small, tmp_path
):
    output_dir, _ = finished_run
    run_bundle(
        **{**small, "temperature": 3.0},
        output_dir=str(tmp_path / "warmer"),
        members_dir=str(output_dir / "members"),
        soft_labels_dir=str(output_dir / "soft_labels"),
    )
    log = (tmp_path / "warmer" / "log.txt").read_text()
    assert "are written again: temperature was 2.0, is 3.0" in log


def test_removed_folder_is_trained_again_and_not_taken_from_the_old_weights(
    finished_run, run_bundle, small
):
    """What the refusal of other settings tells its reader to do."""
    output_dir, _ = finished_run
    model_file = output_dir / "models" / "model.pt"
    before = torch.load(model_file, weights_only=True)
    shutil.rmtree(output_dir / "student")
    run_bundle(**{**small, "temperature": 5.0}, output_dir=str(output_dir))
    after = torch.load(model_file, weights_only=True)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert (output_dir / "student" / "settings.json").is_file()
