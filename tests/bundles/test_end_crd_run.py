"""A student that learns from its members' features, as its user trains it."""

import json
import signal
import time

import pytest
import torch

from medkd.handlers import read_history
from medkd.networks import load_state

SMALLER = {
    "bundle": "end_crd",
    "dropout": 0,
    "feature_loss::num_positions": 16,
    "feature_loss::num_negatives": 40,
    "feature_loss::bank_size": 64,
}


@pytest.fixture(scope="module")
def finished(small, run_command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("end_crd")
    done = run_command(**small, **SMALLER, output_dir=str(folder))
    assert done.returncode == 0, done.stderr
    return folder


def test_trains_on_features_and_judges(finished):
    rows = read_history(finished / "student" / "history.csv")
    assert len(rows) == 4
    for row in rows:
        weighted = 0.3 * row["label"] + 0.7 * row["distillation"] + 0.05 * row["bottleneck"]
        assert row["loss"] == pytest.approx(weighted, rel=1e-3)
    metrics = json.loads((finished / "report" / "metrics.json").read_text())
    assert {"single", "deep_ensemble", "student"} <= set(metrics["methods"])
    assert "bottleneck" in (finished / "report" / "index.html").read_text()


def test_the_student_is_a_plain_network(finished):
    weights = load_state(finished / "models" / "model.pt")
    assert not any("projection" in name or "bank" in name for name in weights)
    member = load_state(finished / "members" / "member_0" / "model.pt")
    assert weights.keys() == member.keys()


def test_contrast_alone_and_each_member_with_a_bank(finished, run_bundle, small, tmp_path):
    run_bundle(
        **small,
        **SMALLER,
        members_dir=str(finished / "members"),
        distillation_weight=0,
        output_dir=str(tmp_path / "alone"),
        **{"feature_loss::combine": "each", "features": {"inner": "down_3", "outer": "upcat_1"}},
        feature_weights={"inner": 0.1, "outer": 0.1},
    )
    rows = read_history(tmp_path / "alone" / "student" / "history.csv")
    assert {"label", "inner", "outer"} <= set(rows[0])
    assert "distillation" not in rows[0]


def test_members_of_end_kl_will_do(run_command, small, tmp_path):
    """As the README says: without the stage that trains members and compares their settings."""
    end_kl, end_crd = tmp_path / "end_kl", tmp_path / "end_crd"
    shared = {**small, "dropout": 0, "num_members": 1, "num_epochs": 2}
    done = run_command(**shared, output_dir=str(end_kl))
    assert done.returncode == 0, done.stderr
    done = run_command(
        **{**shared, **SMALLER},
        members_dir=str(end_kl / "members"),
        soft_labels_dir=str(end_kl / "soft_labels"),
        member_training=[],
        output_dir=str(end_crd),
    )
    assert done.returncode == 0, done.stderr
    assert len(read_history(end_crd / "student" / "history.csv")) == 2
    assert not (end_crd / "members").exists()


@pytest.mark.parametrize("whose", ["features", "teacher_features"])
def test_a_path_that_does_not_exist_is_refused_before_anything_is_trained(
    run_command, small, tmp_path, whose
):
    run = tmp_path / "run"
    faulty = {whose: {"bottleneck": "down_5"}}
    done = run_command(**small, **SMALLER, **faulty, output_dir=str(run))
    assert done.returncode != 0
    sentence = "there is no 'down_5'. Did you mean 'down_4'? There are conv_0, down_1"
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not (run / "members").exists()


@pytest.mark.slow
def test_killed_run_ends_with_the_bits_of_an_unbroken_one(finished, start_command, small, tmp_path):
    """The banks and the projections are in the checkpoint."""
    settings = {**small, **SMALLER, "num_epochs": 8}
    settings |= {
        "members_dir": str(finished / "members"),
        "soft_labels_dir": str(finished / "soft_labels"),
    }
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    unbroken = start_command(**settings, output_dir=straight)
    broken = start_command(**settings, output_dir=killed)
    deadline = time.monotonic() + 200
    while not (killed / "student" / "checkpoint.pt").exists() and broken.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.005)
    broken.send_signal(signal.SIGKILL)
    broken.wait()
    assert not (killed / "models" / "model.pt").exists()
    assert unbroken.wait(timeout=300) == 0, unbroken.stderr.read()
    again = start_command(**settings, output_dir=killed)
    assert again.wait(timeout=300) == 0, again.stderr.read()
    expected, got = (load_state(run / "models" / "model.pt") for run in (straight, killed))
    for name in expected:
        assert torch.equal(expected[name], got[name]), name


@pytest.mark.slow
def test_two_processes_train_one_student(finished, run_two_processes, small, tmp_path):
    settings = {**small, **SMALLER, "split": "validation"}
    settings |= {
        "members_dir": str(finished / "members"),
        "soft_labels_dir": str(finished / "soft_labels"),
    }
    settings.pop("device")  # multi_gpu.json says it
    run = tmp_path / "run"
    files = ("train.json", "multi_gpu.json")
    status, written = run_two_processes(files=files, **settings, output_dir=str(run))
    assert status == 0, written
    rows = read_history(run / "student" / "history.csv")
    assert len(rows) == 4
    assert "bottleneck" in rows[-1]
    weights = load_state(run / "models" / "model.pt")
    assert not any(name.startswith("module.") for name in weights)
