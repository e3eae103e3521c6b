"""Runs on volumes: a diverse and a uniform ensemble, distilled."""

import json

import nibabel
import pytest
import torch
from monai.bundle import ConfigParser

from medkd.errors import sentence_of
from medkd.teachers import load_members, load_network


@pytest.fixture(scope="module")
def diverse_run(small_volumes, run_command, tmp_path_factory):
    """Two members of the six, as its user starts it."""
    output_dir = tmp_path_factory.mktemp("diverse") / "run"
    result = run_command(
        bundle="kd_diverse", **small_volumes, num_members=2, output_dir=str(output_dir)
    )
    assert result.returncode == 0, result.stderr
    return output_dir


def test_a_diverse_ensemble_is_trained_distilled_and_judged(diverse_run):
    members = load_members(diverse_run / "members", 2)
    assert [type(member).__name__ for member in members] == ["UNet", "AttentionUnet"]
    metrics = json.loads((diverse_run / "report" / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["num_cases"]) == ("balls", 3)
    assert {"single", "deep_ensemble", "student"} <= set(metrics["methods"])
    student = metrics["methods"]["student"]
    for name in ("dice", "hd95", "asd", "volume_error"):
        assert {name, f"{name}_shell", f"{name}_core"} <= set(student)
    page = (diverse_run / "report" / "index.html").read_text()
    assert "architecture, loss and seed" in page


def test_soft_labels_alone_teach(diverse_run):
    """The paper's student: its loss is the distillation's, whatever the label's is."""
    with (diverse_run / "student" / "history.csv").open() as file:
        header, *rows = (line.strip().split(",") for line in file)
    for row in rows:
        values = dict(zip(header, row, strict=True))
        assert values["loss"] == values["distillation"] != values["label"]


def test_a_student_may_be_mixed_small_and_of_a_run_that_is_there(
    diverse_run, run_bundle, small_volumes, tmp_path
):
    shared = {name: str(diverse_run / name) for name in ("members", "soft_labels")}
    times = {file: file.stat().st_mtime_ns for file in (diverse_run / "members").rglob("*.pt")}
    run_bundle(
        "training",
        bundle="kd_diverse",
        **{**small_volumes, "network_def::channels": [4, 4, 8]},
        num_members=2,
        members_dir=shared["members"],
        soft_labels_dir=shared["soft_labels"],
        distillation_weight=0.5,
        output_dir=str(tmp_path / "run"),
    )
    assert times == {f: f.stat().st_mtime_ns for f in (diverse_run / "members").rglob("*.pt")}
    ours, theirs = (
        sum(
            p.numel()
            for p in load_network(run / "config.json", run / "models/model.pt").parameters()
        )
        for run in (tmp_path / "run", diverse_run)
    )
    assert ours < theirs


def test_members_may_differ_by_fold(run_bundle, small_volumes, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("medkd.workflows.member_training._run", lambda file, **_: seen.append(file))
    run_bundle(
        "member_training",
        bundle="kd_uniform",
        **small_volumes,
        num_members=2,
        num_folds=2,
        output_dir=str(tmp_path / "run"),
    )
    patients = []
    for file in seen:
        parser = ConfigParser(ConfigParser.load_config_file(file))
        parser["imports"] = ["$import medkd", "$import torch", "$import monai"]
        patients.append({case["patient"] for case in parser.get_parsed_content("train::cases")})
    assert patients == [{"1", "3"}, {"0", "2"}]


def test_more_members_than_overlays_are_refused(run_bundle, small_volumes, tmp_path):
    overrides = {**small_volumes, "num_members": 7, "output_dir": str(tmp_path / "run")}
    with pytest.raises(RuntimeError, match="train_members") as error:
        run_bundle(bundle="kd_diverse", **overrides)
    expected = "Expected `num_members` to be at most the 6 files of `member_overlays`, but got 7."
    assert sentence_of(error.value) == expected


def test_inference_answers_on_the_grid_of_the_scan(
    diverse_run, run_command, volumes_dir, volume_grid, tmp_path
):
    result = run_command(
        "run",
        files=(str(diverse_run / "inference.json"),),
        dataset_dir=str(volumes_dir / "images"),
        output_dir=str(tmp_path / "maps"),
        device="cpu",
    )
    assert result.returncode == 0, result.stderr
    shape, affine = volume_grid
    written = nibabel.load(tmp_path / "maps" / "scan_0_segmentation.nii.gz")
    assert written.shape == shape
    assert torch.allclose(torch.as_tensor(written.affine), torch.as_tensor(affine), atol=1e-4)
