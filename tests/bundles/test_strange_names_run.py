"""Names that would be code, from a data set's check to an export: nothing runs, nothing is lost."""

from __future__ import annotations

import csv
import html
import json

import nibabel
import pytest
from monai.bundle import ConfigParser, run

from medkd.cli.main import main

TINY = {
    "member_num_epochs": 1,
    "num_epochs": 1,
    "steps_per_epoch": 1,
    "val_interval": 1,
    "batch_size": 1,
    "channels": [4, 4],
    "strides": [2],
    "patch_size": [8, 8, 8],
    "device": "cpu",
}


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_runs")
def test_are_trained_judged_predicted_and_exported_as_text(
    strange_volumes, strange_names, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    names = list(strange_names)
    folder, manifest = strange_volumes(names)
    assert main(["data", "check", str(manifest), "--dataset_dir", str(folder)]) == 0
    plan = ["plan", str(manifest), "--dataset_dir", str(folder), "--output", "planned"]
    assert main([*plan, "--num_members", "1"]) == 0
    run(run_id="training", config_file="planned/train.json", **TINY, output_dir="runs/text")

    with (tmp_path / "runs" / "text" / "report" / "cases.csv").open(newline="") as file:
        judged = {row["case_id"] for row in csv.DictReader(file)}
    known = json.loads((tmp_path / "runs" / "text" / "manifest.json").read_text())
    assert judged == set(known["splits"]["test"])
    page = html.unescape((tmp_path / "runs" / "text" / "report" / "index.html").read_text())
    assert all(name in page for name in names)

    case = next(c for c in known["cases"] if c["case_id"] in judged)
    images = case["image"] if isinstance(case["image"], list) else [case["image"]]
    scans = tmp_path / "$open('scans')"
    scans.mkdir()
    for channel, path in enumerate(images):
        target = scans / f"@scan_{channel:04d}.nii.gz"
        target.write_bytes((folder / path).read_bytes())
    predict = ["predict", "runs/text", "--input", str(scans), "--output", "% out"]
    assert main(predict) == 0
    (written,) = (tmp_path / "% out").glob("*_segmentation.nii.gz")
    assert written.name == "@scan_segmentation.nii.gz"
    assert nibabel.load(written).shape == nibabel.load(folder / images[0]).shape[:3]

    assert main(["export", "runs/text", "--to", "zoo", "--output", "exported", "--name", "x"]) == 0
    labels = json.loads((tmp_path / "exported" / "labels.json").read_text())
    assert [entry["name"] for entry in labels["labels"]] == ["background", *names]
    parser = ConfigParser()
    parser.read_meta(tmp_path / "exported" / "configs" / "metadata.json")
    parser.read_config(tmp_path / "exported" / "configs" / "inference.json")
    assert parser.get_parsed_content("network_def") is not None
    assert "Traceback" not in capsys.readouterr().err
