"""A small student of a teacher of two tasks, as its user trains it."""

import json

import nibabel
import pytest
from monai.bundle import ConfigParser

from medkd.handlers import read_history
from medkd.networks import load_state
from medkd.teachers import load_members, load_network

SMALLER = {
    "bundle": "mtms_kd",
    "feature_loss::num_positions": 32,
    "network_def::filters": [3, 4, 6],
}


@pytest.fixture(scope="module")
def tiny(small_volumes):
    return {**small_volumes, **SMALLER, "num_epochs": 2}


@pytest.fixture(scope="module")
def finished(tiny, run_command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mtms_kd") / "run"
    done = run_command(**tiny, output_dir=str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def given_teacher(finished, tmp_path):
    return {
        "members_dir": str(finished / "members"),
        "soft_labels_dir": str(finished / "soft_labels"),
        "labels_only": False,
        "output_dir": str(tmp_path / "run"),
    }


def test_the_teacher_learns_two_tasks_and_the_student_from_it(finished):
    for row in read_history(finished / "members" / "member_0" / "history.csv"):
        expected = row["label"] + 0.2 * row["reconstruction"]
        assert row["loss"] == pytest.approx(expected, rel=1e-3)
    for row in read_history(finished / "student" / "history.csv"):
        expected = 0.67 * row["label"] + 0.33 * row["distillation"]
        expected += 0.17 * row["encoder"] + 0.33 * row["bottleneck"] + 0.17 * row["decoder"]
        assert row["loss"] == pytest.approx(expected, rel=1e-3)
        # The fault of the released code: softmax over one channel.
        assert row["distillation"] > 0


def test_a_teacher_may_have_one_task(run_bundle, tiny, tmp_path):
    run_bundle("member_training", **tiny, reconstruction_weight=0, output_dir=str(tmp_path / "run"))
    for row in read_history(tmp_path / "run" / "members" / "member_0" / "history.csv"):
        assert "reconstruction" not in row
        assert row["loss"] == row["label"]


def test_all_that_comes_out_is_plain_networks(finished):
    teacher = load_members(finished / "members", 1)[0]
    assert list(teacher.filters) == [4, 8, 8]
    weights = load_state(finished / "models" / "model.pt")
    student = load_network(finished / "config.json", finished / "models" / "model.pt")
    assert set(weights) == set(student.state_dict())
    for state in (weights, teacher.state_dict()):
        assert not any("projection" in name or "decoder" in name for name in state)


def test_the_student_and_labels_alone_see_half_of_the_patients_and_the_teacher_all(finished):
    """By patient: slices of one are never on both sides, as in the released code."""
    seen = {}
    for folder in ("members/member_0", "labels_only/member_0", "."):
        parser = ConfigParser(ConfigParser.load_config_file(finished / folder / "config.json"))
        cases = parser.get_parsed_content("train::cases")
        seen[folder] = {case["patient"] for case in cases}
    assert seen == {
        "members/member_0": {"0", "1", "2", "3"},
        "labels_only/member_0": {"1", "3"},
        ".": {"1", "3"},
    }


def test_labels_alone_have_the_optimizer_the_schedule_and_the_seed_of_the_student(finished):
    """Another fault of the released code: its baseline was trained in another way."""
    student, alone = (
        json.loads((finished / folder / "settings.json").read_text())
        for folder in ("student", "labels_only/member_0")
    )
    # The parameters, `@trained`, are the network's own here: there are no projections.
    differ = {n for n in {*student, *alone} if student.get(n) != alone.get(n)}
    assert differ == {
        *("trained", "features", "feature_weights", "weighted_features", "image_shape"),
        *("feature_loss", "feature_losses", "feature_teacher", "teacher_features"),
        *(
            "distillation_weight",
            "distillation_loss",
            "distillation_temperature",
            "soft_label_store",
            "contrast_temperature",
        ),
        *("teacher", "teacher_weights", "online_teacher", "num_members"),
    }
    assert {"optimizer", "lr_scheduler", "num_epochs", "train::augmentation"} <= set(alone)
    assert alone["distillation_weight"] == 0


def test_judges_teacher_labels_only_and_student(finished):
    metrics = json.loads((finished / "report" / "metrics.json").read_text())
    assert {"teacher", "labels_only", "student"} <= set(metrics["methods"])
    page = (finished / "report" / "index.html").read_text()
    for words in ("encoder 0.17, bottleneck 0.33, decoder 0.17", "2 of 4", "labels-only network"):
        assert words in page


def test_contrast_with_a_bank_instead(finished, run_command, tiny, tmp_path):
    """EnD-CRD in volumes, with whatever was planned."""
    settings = {k: v for k, v in tiny.items() if not k.startswith("feature_loss")}
    bank = {f"feature_loss::{k}": v for k, v in (("num_negatives", 40), ("bank_size", 64))}
    done = run_command(
        files=("train.json", "contrastive_representation.json"),
        **{**settings, **bank, "feature_loss::num_positions": 16},
        **given_teacher(finished, tmp_path),
    )
    assert done.returncode == 0, done.stderr
    checkpoint = tmp_path / "run" / "student"
    rows = read_history(checkpoint / "history.csv")
    for row in rows:
        assert not {"encoder", "decoder"} & set(row)
        expected = 0.67 * row["label"] + 0.33 * row["distillation"] + 0.05 * row["bottleneck"]
        assert row["loss"] == pytest.approx(expected, rel=1e-3)
    settings = json.loads((checkpoint / "settings.json").read_text())
    assert settings["feature_loss"]["_target_"] == "medkd.losses.ContrastiveRepresentationLoss"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"feature_loss::num_positions": 2}, "`num_positions` to be at least 3, but got 2"),
        ({"feature_weights::encoder": -1}, "`feature_weights` to be finite and zero or more"),
    ],
)
def test_what_the_student_would_stumble_over_is_refused_first(
    run_command, tiny, tmp_path, setting, sentence
):
    done = run_command(**{**tiny, **setting}, output_dir=str(tmp_path / "run"))
    assert done.returncode != 0
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "members").exists()


def test_one_scale_alone(finished, run_bundle, tiny, tmp_path):
    weights = {"encoder": 0.2, "bottleneck": 0, "decoder": 0}
    given = given_teacher(finished, tmp_path)
    run_bundle(**tiny, **given, distillation_weight=0, feature_weights=weights)
    rows = read_history(tmp_path / "run" / "student" / "history.csv")
    for row in rows:
        assert not {"distillation", "bottleneck", "decoder"} & set(row)
        assert row["loss"] == pytest.approx(row["label"] + 0.2 * row["encoder"], rel=1e-3)


def test_probabilities_alone(finished, run_bundle, tiny, tmp_path):
    weights = {"encoder": 0, "bottleneck": 0, "decoder": 0}
    run_bundle(**tiny, **given_teacher(finished, tmp_path), feature_weights=weights)
    rows = read_history(tmp_path / "run" / "student" / "history.csv")
    assert {"label", "distillation"} <= set(rows[0])
    assert not {"encoder", "bottleneck", "decoder"} & set(rows[0])


@pytest.mark.parametrize("teacher", ["unet", "swin_unetr"])
def test_on_slices(run_command, volumes_dir, volume_grid, tiny, tmp_path, teacher):
    names = ("dataset_dir", "manifest", "device", "num_classes", "normalization", *SMALLER)
    overlays = {"unet": [], "swin_unetr": ["swin_unetr_teacher.json"]}[teacher]
    run = tmp_path / "run"
    done = run_command(
        files=("train.json", "slices.json", *overlays),
        **{name: tiny[name] for name in names},
        member_num_epochs=1, num_epochs=1, steps_per_epoch=2, val_interval=1, batch_size=3,
        patch_size=[32, 64], channels=[4, 6, 8], strides=[2, 2], output_dir=str(run),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    expected = {"unet": "DynUNet", "swin_unetr": "SwinUNETR"}[teacher]
    assert type(load_members(run / "members", 1)[0]).__name__ == expected
    student = load_network(run / "config.json", run / "models" / "model.pt")
    assert {weight.dim() for weight in student.parameters()} <= {1, 4}
    assert "axial slices resized to [32, 64]" in (run / "report" / "index.html").read_text()

    maps = tmp_path / "maps"
    done = run_command(
        "run", files=(str(run / "inference.json"),), dataset_dir=str(volumes_dir / "images"),
        output_dir=str(maps), device="cpu",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = nibabel.load(maps / "scan_0_segmentation.nii.gz")
    assert written.shape == volume_grid[0]


@pytest.mark.slow
def test_two_processes_train_teacher_and_student(run_two_processes, tiny, tmp_path):
    settings = {**tiny, "split": "validation"}
    settings.pop("device")  # multi_gpu.json says it
    run = tmp_path / "run"
    files = ("train.json", "multi_gpu.json")
    status, written = run_two_processes(files=files, **settings, output_dir=str(run))
    assert status == 0, written
    assert {"encoder", "bottleneck", "decoder"} <= set(
        read_history(run / "student" / "history.csv")[-1]
    )
    weights = load_state(run / "models" / "model.pt")
    assert not any(name.startswith("module.") for name in weights)
