from __future__ import annotations

import h5py
import numpy as np
import pytest

from medkd.cli.main import main
from medkd.data import read_manifest


@pytest.fixture
def folder(tmp_path):
    """Three scans to train on and one to measure on, as UA-MT has them."""
    folder = tmp_path / "LA"
    generator = np.random.default_rng(0)
    for scan in "ABCD":
        path = folder / "scans" / scan / "mri_norm2.h5"
        path.parent.mkdir(parents=True)
        with h5py.File(path, "w") as file:
            file["image"] = generator.normal(size=(6, 5, 4)).astype(np.float32)
            file["label"] = generator.integers(0, 2, (6, 5, 4), dtype=np.uint8)
    (folder / "train.list").write_text("A\nB\nC\n")
    (folder / "test.list").write_text("D\n")
    return folder


def convert(folder, output, *more):
    return main(["data", "convert", str(folder), "--output", str(output), *more])


def test_converts_to_what_passes_the_check(folder, tmp_path, capsys):
    output = tmp_path / "nifti"
    assert convert(folder, output, "--spacing", "0.625", "0.625", "1") == 0
    captured = capsys.readouterr()
    assert "converting volumes" in captured.err
    lines = captured.out.splitlines()
    assert "0.625 x 0.625 x 1 mm was stated by who converted them" in lines[0]
    assert lines[1:] == [
        "volumes of 1 channel(s): LGE MR",
        "2 classes: background, left_atrium",
        f"{output}/manifest.json: 4 cases of 4 patients (train 1, validation 2, test 1)",
        f"now prove it: medkd data check {output}/manifest.json --dataset_dir {output}",
    ]
    manifest = str(output / "manifest.json")
    assert main(["data", "check", manifest, "--dataset_dir", str(output)]) == 0
    assert capsys.readouterr().out.endswith("nothing to mend, 0 warning(s)\n")


def test_takes_names_and_an_unknown_spacing(folder, tmp_path, capsys):
    output = tmp_path / "nifti"
    assert convert(folder, output, "--spacing", "unknown", "--labels", "background, atrium") == 0
    assert "distances are in voxels" in capsys.readouterr().out
    assert read_manifest(output / "manifest.json").class_names == ("background", "atrium")


def test_spacing_must_be_stated(folder, tmp_path, capsys):
    with pytest.raises(SystemExit) as leaving:
        convert(folder, tmp_path / "nifti")
    assert leaving.value.code == 2
    assert "required: --spacing" in capsys.readouterr().err


@pytest.mark.parametrize("spacing", ["1 1", "1 1 1 1", "1 1 x", "Unknown", "unknown 1 1"])
def test_a_wrong_spacing_is_one_sentence(folder, tmp_path, spacing, capsys):
    assert convert(folder, tmp_path / "nifti", "--spacing", *spacing.split()) == 1
    err = capsys.readouterr().err
    assert "Expected --spacing to be three numbers" in err
    assert err.endswith(f"or `unknown`, but got {spacing}.\n")
    assert not (tmp_path / "nifti").exists()


def test_does_not_replace_a_folder(folder, capsys):
    assert convert(folder, folder, "--spacing", "unknown") == 1
    assert "Expected a new folder for the output" in capsys.readouterr().err


def test_a_folder_without_lists_is_one_sentence(folder, tmp_path, capsys):
    assert convert(folder / "scans", tmp_path / "nifti", "--spacing", "unknown") == 1
    assert "but got the lists: none" in capsys.readouterr().err
