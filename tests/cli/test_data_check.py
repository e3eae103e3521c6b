from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from medkd.cli.main import main

ROOT = Path(__file__).parents[2]


def check(folder, manifest):
    return main(["data", "check", str(manifest), "--dataset_dir", str(folder)])


def test_a_sound_folder(photos, capsys):
    assert check(*photos) == 0
    captured = capsys.readouterr()
    assert captured.out == (
        "photos: 8 cases of 4 patients (train 4, validation 2, test 2)\n"
        "nothing to mend, 0 warning(s)\n"
    )
    assert "checking cases" in captured.err


def test_lists_case_by_case_what_is_wrong(photos, capsys):
    folder, manifest = photos
    (folder / "labels" / "1R_hand.png").unlink()
    Image.new("L", (12, 9)).save(folder / "labels" / "4L_hand.png")
    assert check(folder, manifest) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["case", "patient", "split", "severity", "what"]
    assert lines[1] == ("1R    1        train  error     The label labels/1R_hand.png is missing.")
    assert lines[2].startswith(
        "4L    4        test   warning   The label labels/4L_hand.png has no"
    )
    assert lines[-1] == "1 error(s) in 1 case(s) to mend, 1 warning(s)"


def test_a_warning_alone_is_nothing_to_mend(photos, capsys):
    folder, manifest = photos
    Image.new("RGB", (3, 3)).save(folder / "images" / "new.png")
    assert check(folder, manifest) == 0
    out = capsys.readouterr().out
    assert "No case uses new.png in the folder" in out
    assert out.endswith("nothing to mend, 1 warning(s)\n")


def test_a_faulty_manifest_is_one_sentence(photos, capsys):
    folder, manifest = photos
    manifest.write_text(manifest.read_text().replace('"patient": "4"', '"patient": "1"'))
    assert check(folder, manifest) == 1
    assert "Expected every patient in one split, but got patient '1' in" in capsys.readouterr().err


def test_says_how_many_are_unlabeled(photos, capsys):
    folder, manifest = photos
    content = json.loads(manifest.read_text())
    for case in content["cases"][:2]:
        del case["label"]
    manifest.write_text(json.dumps(content))
    assert check(folder, manifest) == 0
    out = capsys.readouterr().out
    assert "8 cases of 4 patients (train 4, validation 2, test 2), 2 unlabeled\n" in out


def test_a_missing_folder_is_one_sentence(photos, capsys):
    folder, manifest = photos
    assert check(folder / "elsewhere", manifest) == 1
    assert "there is no folder" in capsys.readouterr().err


def test_a_folder_of_volumes_without_a_manifest(scans, capsys):
    assert main(["data", "check", str(scans)]) == 0
    assert capsys.readouterr().out.endswith("nothing to mend, 0 warning(s)\n")
    path = scans / "labels" / "patient1_frame12_gt.nii.gz"
    path.write_bytes(path.read_bytes()[:-9])
    assert main(["data", "check", str(scans)]) == 1
    out = capsys.readouterr().out
    assert "patient1_frame12_gt.nii.gz to be a whole NIfTI file" in out
    assert out.endswith("1 error(s) in 1 case(s) to mend, 0 warning(s)\n")


@pytest.mark.parametrize(
    ("folder", "more", "message"),
    [(False, [], "Expected --dataset_dir"), (True, ["--dataset_dir", "x"], "a manifest with")],
)
def test_manifest_and_folder_belong_together(photos, folder, more, message, capsys):
    assert main(["data", "check", str(photos[0] if folder else photos[1]), *more]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_chase_db1(real_data, capsys):
    folder = real_data("chase_db1")
    assert check(folder, ROOT / "data_manifests" / "chase_db1.json") == 0
    assert capsys.readouterr().out.endswith("nothing to mend, 0 warning(s)\n")


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_volumes_of_other_formats(scans, as_format, capsys, suffix):
    as_format(scans, suffix)
    assert main(["data", "check", str(scans)]) == 0
    assert capsys.readouterr().out.endswith("nothing to mend, 0 warning(s)\n")
    path = scans / "labels" / f"patient1_frame12_gt{suffix}"
    data = path.with_suffix(".raw") if path.with_suffix(".raw").exists() else path
    data.write_bytes(data.read_bytes()[:-3])
    assert main(["data", "check", str(scans)]) == 1
    assert f"Expected {path} to have 240 bytes of voxels, but got 237" in capsys.readouterr().out
