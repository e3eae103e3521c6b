from __future__ import annotations

import pytest

from medkd.cli.main import main
from medkd.data import read_manifest


def make(folder, output, *more):
    patterns = ["--image", "images/*.png", "--label", "labels/*_hand.png"]
    return main(["data", "manifest", str(folder), *patterns, "--output", str(output), *more])


def test_makes_a_manifest_that_passes_the_check(photos, tmp_path, capsys):
    folder, _ = photos
    output = tmp_path / "made.json"
    more = ("--patient", r"(\d)[LR]", "--labels", "background, vessel")
    assert make(folder, output, *more) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert f"{output}: 8 cases of 4 patients (train" in captured.out
    assert read_manifest(output).labels == {"background": 0, "vessel": 1}
    assert main(["data", "check", str(output), "--dataset_dir", str(folder)]) == 0


def test_warns_that_each_image_is_a_patient(photos, tmp_path, capsys):
    assert make(photos[0], tmp_path / "made.json") == 0
    assert "medkd: warning: Without --patient each image counts as its own patient" in (
        capsys.readouterr().err
    )


def test_takes_values_shares_name_and_seed(photos, tmp_path):
    output = tmp_path / "made.json"
    more = ("--label_values", "0:0,255:1", "--fractions", "0.5", "0.25", "0.25", "--name", "mine")
    assert make(photos[0], output, *more, "--seed", "3", "--patient", r"(\d)[LR]") == 0
    manifest = read_manifest(output)
    assert manifest.name == "mine"
    assert [len(ids) for ids in manifest.splits.values()] == [4, 2, 2]
    assert "seed 3" in manifest.changes


def test_does_not_replace_a_file_unasked(photos, tmp_path, capsys):
    output = tmp_path / "made.json"
    output.write_text("mine")
    assert make(photos[0], output) == 1
    assert "exists: --overwrite?" in capsys.readouterr().err
    assert output.read_text() == "mine"
    assert make(photos[0], output, "--overwrite") == 0
    assert len(read_manifest(output).cases) == 8


def test_writes_nothing_when_it_fails(photos, tmp_path, capsys):
    assert make(photos[0], tmp_path / "made.json", "--patient", "(nobody)") == 1
    assert "to match every image" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "photos.json"]


@pytest.mark.parametrize("pairs", ["0=0", "white:1", "0:0:0"])
def test_wrong_pairs_leave_with_2(photos, tmp_path, pairs, capsys):
    with pytest.raises(SystemExit) as leaving:
        make(photos[0], tmp_path / "made.json", "--label_values", pairs)
    assert leaving.value.code == 2
    assert "expected pairs such as 0:0,255:1" in capsys.readouterr().err


def test_recognizes_a_folder_of_volumes(scans, monkeypatch, capsys):
    monkeypatch.chdir(scans.parent)
    assert main(["data", "manifest", "scans"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    lines = captured.out.splitlines()
    assert lines[0].startswith(
        "Made by `medkd data manifest` from a plain folder: images, labels. Patients by "
    )
    assert lines[1:4] == [
        "volumes of 1 channel(s): image",
        "3 classes: background, class_205, class_500",
        "scans.json: 12 cases of 6 patients (train 8, validation 2, test 2)",
    ]
    assert main(["data", "check", "scans.json", "--dataset_dir", "scans"]) == 0
    assert main(["data", "manifest", "scans"]) == 1  # never replaced unasked
    assert "scans.json exists: --overwrite?" in capsys.readouterr().err


def test_keeps_unlabeled_images_where_it_is_told(scans, tmp_path, capsys):
    for frame in ("frame1", "frame12"):
        (scans / "labels" / f"patient2_{frame}_gt.nii.gz").unlink()
    output = str(tmp_path / "made.json")
    assert main(["data", "manifest", str(scans), "--output", output, "--unlabeled"]) == 0
    assert "12 cases of 6 patients (train 8, validation 2, test 2), 2 unlabeled" in (
        capsys.readouterr().out
    )
    train = read_manifest(output).split_cases("train")
    assert [case.case_id for case in train if not case.is_labeled] == [
        *("patient2_frame1", "patient2_frame12")
    ]
    assert main(["data", "check", output, "--dataset_dir", str(scans)]) == 0
    assert main(["data", "manifest", str(scans), "--output", output, "--overwrite"]) == 0
    assert "10 cases of 5 patients" in capsys.readouterr().out


def test_names_the_regex_that_may_be_right(photos, tmp_path, capsys):
    assert make(photos[0], tmp_path / "made.json") == 0
    assert r"Names suggest --patient '(\d+)[LR](?![A-Za-z])'." in capsys.readouterr().err


def test_recognizes_a_folder_of_pictures(photos, tmp_path, capsys):
    output = str(tmp_path / "made.json")
    assert main(["data", "manifest", str(photos[0]), "--output", output]) == 0
    assert "pictures of 3 channel(s): red, green, blue" in capsys.readouterr().out
    assert read_manifest(output).cases[0].files["label"] == "labels/1L_hand.png"


def test_an_image_pattern_alone_is_one_sentence(photos, capsys):
    assert main(["data", "manifest", str(photos[0]), "--image", "images/*.png"]) == 1
    assert "but got none for the label" in capsys.readouterr().err
