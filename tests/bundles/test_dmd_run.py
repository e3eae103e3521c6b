"""Semi-supervised runs on volumes: peers that learn from few labels and from each other."""

import json
import shutil

import nibabel
import pytest
import torch

from medkd.errors import sentence_of
from medkd.handlers import read_history
from medkd.networks import MeanTeacher
from medkd.teachers import load_peers

METHODS = ["deep_mutual_learning.json", "cross_pseudo_supervision.json", "mean_teacher.json"]


@pytest.fixture(scope="module")
def tiny(small_volumes):
    """Two of four training cases are labeled; a step sees one patch without a label beside two."""
    others = {k: v for k, v in small_volumes.items() if k != "member_num_epochs"}
    return {**others, "num_labeled": 2, "unlabeled_batch_size": 1}


@pytest.fixture(scope="module")
def dmd_run(tiny, run_command, tmp_path_factory):
    """One run, as its user starts it."""
    output_dir = tmp_path_factory.mktemp("dmd") / "run"
    result = run_command(bundle="dmd", **tiny, output_dir=str(output_dir))
    assert result.returncode == 0, result.stderr
    return output_dir


@pytest.fixture
def train(run_bundle, tiny, tmp_path):
    """Trains the student alone, and gives its folder."""

    def run(files=("train.json",), name="run", **overrides):
        output_dir = tmp_path / name
        settings = {**tiny, "output_dir": str(output_dir), **overrides}
        run_bundle("student_training", files, bundle="dmd", **settings)
        return output_dir

    return run


def _weights(file):
    return torch.load(file, weights_only=True)


def _equal(one, other):
    ours, theirs = _weights(one), _weights(other)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def _history(run):
    return read_history(run / "student" / "history.csv")


def test_student_peers_and_labels_only_are_trained_and_judged(dmd_run):
    metrics = json.loads((dmd_run / "report" / "metrics.json").read_text())
    assert (metrics["dataset"], metrics["num_cases"]) == ("balls", 3)
    assert {"labels_only", "peer_ensemble", "student"} <= set(metrics["methods"])
    assert metrics["comparisons"]["reference"] == "labels_only"
    pairs = [(p["method"], p["reference"]) for p in metrics["comparisons"]["pairs"]]
    assert pairs == [
        ("student", "labels_only"),
        ("peer_ensemble", "labels_only"),
        ("student", "peer_ensemble"),
    ]
    for name in ("dice", "jaccard", "hd95", "asd"):
        assert {name, f"{name}_shell", f"{name}_core"} <= set(metrics["methods"]["student"])
    assert metrics["methods"]["peer_ensemble"]["mean_mutual_information"]["mean"] > 0
    page = (dmd_run / "report" / "index.html").read_text()
    for text in ("Differences from the labels-only network", "Where the networks disagree"):
        assert text in page
    for text in ("labeled cases", "unlabeled cases", "deep mutual distillation"):
        assert text in page


def test_curves_hold_every_term_and_the_entropy(dmd_run):
    row = _history(dmd_run)[-1]
    assert {"label_1", "label_2", "mutual", "predictive_entropy", "val_dice"} <= set(row)
    assert row["loss"] == pytest.approx(
        row["label_1"] + row["label_2"] + 4 * row["mutual"], rel=1e-4
    )
    alone = read_history(dmd_run / "labels_only" / "member_0" / "history.csv")[-1]
    assert alone["loss"] == alone["label_1"]
    assert not {"label_2", "mutual"} & set(alone)


def test_the_student_is_a_network_of_its_own(dmd_run):
    assert not _equal(dmd_run / "models" / "model.pt", dmd_run / "models" / "peer_2.pt")
    networks = load_peers(dmd_run / "config.json", dmd_run / "models/model.pt", dmd_run / "models")
    assert [type(network).__name__ for network in networks] == ["UNet", "UNet"]


def test_no_label_of_an_unlabeled_case_is_used(dmd_run, train, volumes_dir, tmp_path):
    """The same bits where those labels do not exist at all."""
    folder = tmp_path / "data"
    shutil.copytree(volumes_dir, folder)
    content = json.loads((folder / "manifest.json").read_text())
    for case in content["cases"][2:4]:
        (folder / case.pop("label")).unlink()
    (folder / "manifest.json").write_text(json.dumps(content))
    run = train(dataset_dir=str(folder), manifest=str(folder / "manifest.json"), num_labeled=0)
    for name in ("model.pt", "peer_2.pt"):
        assert _equal(run / "models" / name, dmd_run / "models" / name)


def test_without_weight_the_student_is_the_labels_only_network(dmd_run, train):
    run = train(mutual_weight=0)
    assert _equal(run / "models/model.pt", dmd_run / "labels_only/member_0/model.pt")
    assert not _equal(run / "models/model.pt", dmd_run / "models/model.pt")


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(train, method):
    run = train(("train.json", method))
    rows = _history(run)
    assert "mutual" in rows[-1]
    assert ("label_2" in rows[-1]) == (method != "mean_teacher.json")
    assert not _equal(run / "models/model.pt", run / "models/peer_2.pt")
    networks = load_peers(run / "config.json", run / "models/model.pt", run / "models")
    assert not any(isinstance(network, MeanTeacher) for network in networks)


def test_three_peers_may_differ_in_architecture(train):
    other = {
        "_target_": "AttentionUnet",
        "spatial_dims": "@spatial_dims",
        "in_channels": "@num_channels",
        "out_channels": "@num_classes",
        "channels": [4, 8],
        "strides": [2],
    }
    run = train(peer_defs=["%network_def", other])
    assert "label_3" in _history(run)[-1]
    networks = load_peers(run / "config.json", run / "models/model.pt", run / "models")
    assert [type(network).__name__ for network in networks] == ["UNet", "UNet", "AttentionUnet"]


def test_a_sweep_shares_the_labels_only_network(dmd_run, run_bundle, tiny, tmp_path):
    folder = dmd_run / "labels_only" / "member_0"
    files = [folder / name for name in ("model.pt", "history.csv", "settings.json")]
    times = {file: file.stat().st_mtime_ns for file in files}
    run_bundle(
        bundle="dmd",
        **tiny,
        distillation_temperature=1.2,
        labels_only_dir=str(dmd_run / "labels_only"),
        output_dir=str(tmp_path / "run"),
    )
    assert times == {file: file.stat().st_mtime_ns for file in files}
    report = json.loads((tmp_path / "run" / "report" / "metrics.json").read_text())
    first = json.loads((dmd_run / "report" / "metrics.json").read_text())
    ours, theirs = (r["methods"]["labels_only"]["dice"]["mean"] for r in (report, first))
    assert ours == theirs


def test_a_finished_run_is_judged_again(dmd_run, run_bundle, tiny):
    run_bundle(
        "run",
        ("train.json", "evaluate.json"),
        bundle="dmd",
        **tiny,
        split="validation",
        output_dir=str(dmd_run),
    )
    report = dmd_run / "evaluation" / "balls_validation"
    metrics = json.loads((report / "metrics.json").read_text())
    assert list(metrics["methods"]) == [
        "labels_only",
        "peer_ensemble",
        "student",
        "student_as_shipped",
    ]


def test_inference_answers_on_the_grid_of_the_scan(
    dmd_run, run_command, volumes_dir, volume_grid, tmp_path
):
    result = run_command(
        "run",
        files=(str(dmd_run / "inference.json"),),
        dataset_dir=str(volumes_dir / "images"),
        output_dir=str(tmp_path / "maps"),
        device="cpu",
    )
    assert result.returncode == 0, result.stderr
    shape, affine = volume_grid
    written = nibabel.load(tmp_path / "maps" / "scan_0_segmentation.nii.gz")
    assert written.shape == shape
    assert torch.allclose(torch.as_tensor(written.affine), torch.as_tensor(affine), atol=1e-4)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"num_labeled": 5}, "`num_labeled` to be at most the 4 cases that have a label"),
        ({"mutual_weight": -1}, "`mutual_weight` to be finite and zero or more, but got -1"),
        ({"ramp_up_epochs": -1}, "`ramp_up_epochs` to be finite and zero or more, but got -1"),
        ({"num_unlabeled": 5}, "an override of an id that exists, but got `num_unlabeled`"),
    ],
    ids=["labels", "weight", "ramp", "id"],
)
def test_rejects_before_anything_is_trained(run_bundle, tiny, tmp_path, overrides, sentence):
    settings = {**tiny, "output_dir": str(tmp_path / "run"), **overrides}
    with pytest.raises(RuntimeError, match=r"check_settings|start_run|select_") as error:
        run_bundle(bundle="dmd", **settings)
    assert sentence in sentence_of(error.value)
    assert not list((tmp_path / "run").rglob("*.pt"))
