from __future__ import annotations

import pytest

from medkd.cli.main import main
from medkd.data import read_manifest


@pytest.fixture
def lungs(real_data):
    return real_data("lung_ct_rtstruct")


def convert(folder, output, *more):
    return main(["data", "from-dicom", str(folder), "--output", str(output), *more])


def test_converts_to_what_passes_the_check(lungs, tmp_path, capsys):
    output = tmp_path / "nifti"
    assert convert(lungs, output) == 0
    captured = capsys.readouterr()
    assert "converting series" in captured.err
    lines = captured.out.splitlines()
    assert lines[0].startswith("Made by `medkd data from-dicom`: contours are filled by the even")
    assert lines[1:] == [
        "volumes of 1 channel(s): CT",
        "2 classes: background, gtv_1",
        f"{output}/manifest.json: 2 cases of 2 patients (all 2)",
        f"now prove it: medkd data check {output}/manifest.json --dataset_dir {output}",
    ]
    manifest = str(output / "manifest.json")
    assert main(["data", "check", manifest, "--dataset_dir", str(output)]) == 0
    assert capsys.readouterr().out.endswith("nothing to mend, 0 warning(s)\n")


def test_takes_names_and_shares(lungs, tmp_path):
    output = tmp_path / "nifti"
    options = ["--structures", "gtv 1", "--name", "lungs"]
    assert convert(lungs, output, *options) == 0
    manifest = read_manifest(output / "manifest.json")
    assert (manifest.name, manifest.class_names) == ("lungs", ("background", "gtv_1"))


def test_a_structure_that_nothing_has_is_one_sentence(lungs, tmp_path, capsys):
    assert convert(lungs, tmp_path / "nifti", "--structures", "liver") == 1
    err = capsys.readouterr().err
    assert err.endswith("Expected `structures` to be in a series at least, but got liver.\n")
    assert not (tmp_path / "nifti").exists()


def test_too_few_patients_for_shares_are_one_sentence(lungs, tmp_path, capsys):
    assert convert(lungs, tmp_path / "nifti", "--fractions", "0.6", "0.2", "0.2") == 1
    assert "Expected at least one patient for each of the 3 splits" in capsys.readouterr().err
    assert not (tmp_path / "nifti").exists()


def test_does_not_replace_a_folder(lungs, tmp_path, capsys):
    assert convert(lungs, tmp_path) == 1
    assert "Expected a new folder for the output" in capsys.readouterr().err


def test_a_folder_without_dicom_is_one_sentence(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("no scan")
    assert convert(tmp_path, tmp_path / "nifti") == 1
    assert "to hold DICOM files, but none of its 1 file(s) is one" in capsys.readouterr().err
