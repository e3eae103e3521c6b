"""One whole run, and what is done with it afterwards."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medkd.data import load_cases
from medkd.prediction import find_inputs, predict_cases
from medkd.runs import open_deployment

METHODS = [
    *("single", "single_temperature", "test_time_augmentation", "mc_dropout"),
    *("deep_ensemble", "deep_ensemble_temperature", "student", "student_as_shipped"),
]


def _read(path):
    with Image.open(path) as picture:
        return np.array(picture)


@pytest.fixture(scope="module")
def one_run(small, run_command, tmp_path_factory):
    """A run as its user starts it, and what it printed."""
    output_dir = tmp_path_factory.mktemp("one_run") / "run"
    result = run_command(**small, output_dir=str(output_dir))
    assert result.returncode == 0, result.stderr
    return output_dir, result.stdout


@pytest.fixture
def finished_run(one_run, tmp_path):
    """The folder of a finished run that a test may change."""
    shutil.copytree(one_run[0], tmp_path / "run")
    return tmp_path / "run"


def test_trains_distils_judges_and_reports(one_run, finished_run, run_bundle, small):
    output_dir, printed = one_run
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
        assert {"dice", "mcc", "ece", "brier", "nll", "aurc", "disagreement_auroc"} <= set(method)
        assert {"mean", "std"} <= set(method["nll"])
        assert all(value is not None for value in method["cost"].values())
    with (output_dir / "report" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 * len(METHODS)
    assert "student" in printed
    assert str(output_dir / "report" / "index.html") in printed
    # Weights only, and nothing but the student's.
    state = torch.load(output_dir / "models" / "model.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
    found = sorted(path.name for path in (output_dir / "models").iterdir())
    assert found == ["model.pt", "shipped.pt"]
    for name in ["config.json", "environment.json", "log.txt"]:
        assert (output_dir / name).is_file()

    # The same command once more has nothing to train.
    output_dir = finished_run
    before = {
        path: path.stat().st_mtime_ns
        for path in output_dir.rglob("*.pt")
        if path.parent.name != "cache"
    }
    labels = {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.h5")}
    assert labels
    run_bundle(**small, output_dir=str(output_dir))
    assert {
        path: path.stat().st_mtime_ns
        for path in output_dir.rglob("*.pt")
        if path.parent.name != "cache"
    } == before
    assert {path: path.stat().st_mtime_ns for path in output_dir.rglob("*.h5")} == labels
    again = json.loads((output_dir / "report" / "metrics.json").read_text())
    for name in METHODS:
        assert again["methods"][name]["nll"] == metrics["methods"][name]["nll"]

    # The configuration it wrote can be run as it is.
    config = json.loads((output_dir / "config.json").read_text())
    assert config["num_members"] == 2
    assert config["network_def"]["features"] == [4] * 6


def test_single_is_the_mean_of_the_members_and_the_ensemble_their_mean_forecast(finished_run):
    output_dir = finished_run
    metrics = json.loads((output_dir / "report" / "metrics.json").read_text())["methods"]
    # The Brier score is convex: a mean forecast scores no worse than the forecasts' mean score.
    assert metrics["deep_ensemble"]["brier"]["mean"] <= metrics["single"]["brier"]["mean"] + 1e-9
    assert metrics["deep_ensemble"]["parameters"] == 2 * metrics["single"]["parameters"]


def test_each_predictor_costs_what_it_is_made_of(one_run):
    metrics = json.loads((one_run[0] / "report" / "metrics.json").read_text())["methods"]
    once = metrics["single"]["cost"]["multiply_adds"]
    passes = {"single": 1, "test_time_augmentation": 4, "mc_dropout": 10, "deep_ensemble": 2}
    for name, number in passes.items():
        assert metrics[name]["cost"]["num_passes"] == number
        assert metrics[name]["cost"]["multiply_adds"] == number * once
    seconds = {name: method["cost"]["training_seconds"] for name, method in metrics.items()}
    assert seconds["deep_ensemble"] == pytest.approx(2 * seconds["single"])
    assert seconds["student"] > seconds["deep_ensemble"]


def test_a_temperature_changes_confidence_and_not_the_segmentation(one_run):
    output_dir = one_run[0]
    metrics = json.loads((output_dir / "report" / "metrics.json").read_text())["methods"]
    fitted = json.loads((output_dir / "temperatures.json").read_text())["temperatures"]
    assert [len(fitted[name]) for name in ("single", "deep_ensemble", "student")] == [2, 1, 1]
    for name in ("single", "deep_ensemble"):
        assert metrics[f"{name}_temperature"]["dice"] == metrics[name]["dice"]
    shipped, student = metrics["student_as_shipped"], metrics["student"]
    # Windows are blended at the temperature, so where they overlap a pixel may change sides.
    assert shipped["dice"]["mean"] == pytest.approx(student["dice"]["mean"], abs=0.01)
    assert shipped["nll"] != student["nll"]


def test_without_dropout_there_is_no_dropout_network(finished_run, run_bundle, small, tmp_path):
    settings = {**small, "members_dir": str(finished_run / "members"), "dropout": 0}
    run_bundle(**settings, output_dir=str(tmp_path / "plain"))
    metrics = json.loads((tmp_path / "plain" / "report" / "metrics.json").read_text())
    assert list(metrics["methods"]) == [name for name in METHODS if name != "mc_dropout"]
    assert not (tmp_path / "plain" / "dropout").exists()

    # An evaluation finds out by itself.
    settings = {key: small[key] for key in ("dataset_dir", "manifest", "patch_size", "device")}
    settings["members_dir"] = str(finished_run / "members")
    files = ("train.json", "evaluate.json")
    run_bundle("run", files, **settings, output_dir=str(tmp_path / "plain"))
    report = tmp_path / "plain" / "evaluation" / "fundus_phantom_test" / "metrics.json"
    assert list(json.loads(report.read_text())["methods"]) == list(metrics["methods"])


def test_finished_run_is_judged_on_worse_and_worse_images(finished_run, run_bundle, small):
    settings = {key: small[key] for key in ("dataset_dir", "manifest", "patch_size", "device")}
    shift = {"evaluate::shift_kinds": ["darkness"], "evaluate::shift_strengths": [2, 5]}
    files = ("train.json", "evaluate.json", "shift.json")
    run_bundle("run", files, **settings, **shift, output_dir=str(finished_run))
    folder = finished_run / "evaluation" / "fundus_phantom_test_shift"
    nll = {}
    for name in ("clean", "darkness_2", "darkness_5"):
        metrics = json.loads((folder / name / "metrics.json").read_text())
        nll[name] = metrics["methods"]["student"]["nll"]["mean"]
    clean = json.loads((finished_run / "report" / "metrics.json").read_text())
    assert nll["clean"] == clean["methods"]["student"]["nll"]["mean"]
    assert len(set(nll.values())) == 3
    assert metrics["shift"] == {"kind": "darkness", "strength": 5}
    # One figure of how each predictor degrades: its reports are those of one run.
    assert len(list(folder.glob("*.png"))) == 1
    with (folder / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["run"] for row in rows} == {folder.name}
    assert {row["shift_strength"] for row in rows} == {"0", "2", "5"}

    # Once more finds the reports there.
    before = (folder / "darkness_2" / "metrics.json").stat().st_mtime_ns
    run_bundle("run", files, **settings, **shift, output_dir=str(finished_run))
    assert (folder / "darkness_2" / "metrics.json").stat().st_mtime_ns == before


def test_a_predictor_of_ones_own_is_judged_beside_the_others(finished_run, run_bundle, small):
    settings = {key: small[key] for key in ("dataset_dir", "manifest", "patch_size", "device")}
    own = {
        "_target_": "medkd.predictors.TestTimeAugmentationPredictor",
        "predictor": "@predictors::student",
        "transpose_axes": [0, 1],
    }
    run_bundle(
        "run",
        ("train.json", "evaluate.json"),
        **settings,
        output_dir=str(finished_run),
        **{"predictors::student_turned": own},
    )
    report = finished_run / "evaluation" / "fundus_phantom_test" / "metrics.json"
    methods = json.loads(report.read_text())["methods"]
    assert set(methods) == {*METHODS, "student_turned"}
    assert methods["student_turned"]["cost"]["training_seconds"] is None
    assert methods["student_turned"]["cost"]["num_passes"] == 8


def test_finished_run_is_evaluated_on_another_data_set(finished_run, run_bundle, tmp_path):
    from medkd.data import fundus_phantom

    output_dir = finished_run
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
    output_dir = finished_run
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
    output_dir = finished_run
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
    output_dir = finished_run
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
    output_dir = finished_run
    run_bundle(
        **{**small, "distillation_temperature": 3.0},
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
    output_dir = finished_run
    model_file = output_dir / "models" / "model.pt"
    before = torch.load(model_file, weights_only=True)
    shutil.rmtree(output_dir / "student")
    run_bundle(**{**small, "distillation_temperature": 5.0}, output_dir=str(output_dir))
    after = torch.load(model_file, weights_only=True)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert (output_dir / "student" / "settings.json").is_file()


def test_the_row_as_shipped_is_what_the_written_maps_say(finished_run, small, tmp_path):
    """ECE and NLL by numpy, from the files that `medkd predict` writes and the labels' files."""
    folder = Path(small["dataset_dir"])
    with (finished_run / "report" / "cases.csv").open(newline="") as file:
        rows = {
            r["case_id"]: r for r in csv.DictReader(file) if r["method"] == "student_as_shipped"
        }
    deployment = open_deployment(finished_run, device="cpu", output_dir=tmp_path)
    cases = load_cases(small["manifest"], folder, split="test")
    assert rows.keys() == {case["case_id"] for case in cases}
    for case in cases:
        (scan,) = find_inputs(case["image"], spatial_dims=2, num_channels=3)
        (_,) = predict_cases(deployment, [scan])
        foreground, labels, view = (
            np.asarray(Image.open(path)).astype(float)
            for path in (tmp_path / f"{scan.case_id}_probability.png", case["label"], case["mask"])
        )
        inside = view > 0
        foreground, vessel = foreground[inside] / 65535, labels[inside] > 0
        of_label = np.where(vessel, foreground, 1 - foreground).clip(1e-6)
        assert float(rows[case["case_id"]]["nll"]) == pytest.approx(
            -np.log(of_label).mean(), abs=2e-4
        )
        confidence = np.maximum(foreground, 1 - foreground)
        right = (foreground > 0.5) == vessel
        place = np.ceil(confidence * 15).astype(int)
        gaps = [abs((right[place == b] - confidence[place == b]).sum()) for b in range(1, 16)]
        ece = float(rows[case["case_id"]]["ece"])
        assert ece == pytest.approx(sum(gaps) / inside.sum(), abs=2e-4)
