from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medkd.data.phantoms import fundus_phantom
from medkd.files import atomic_write

SETTINGS = dict(image_size=40, num_train=2, num_validation=1, num_test=1, seed=3)


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def read(path):
    return np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantom")
    fundus_phantom(folder, **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_writes_the_same_bytes_every_time(folder, tmp_path):
    path = fundus_phantom(tmp_path / "new" / "folder", **SETTINGS)
    assert path == str(tmp_path / "new" / "folder" / "manifest.json")
    assert contents(Path(path).parent) == contents(folder)


def test_splits_are_by_patient(manifest):
    patient = {case["case_id"]: case["patient"] for case in manifest["cases"]}
    splits = {name: {patient[case] for case in ids} for name, ids in manifest["splits"].items()}
    assert {name: len(patients) for name, patients in splits.items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }
    assert len(set.union(*splits.values())) == 4
    assert [len(ids) for ids in manifest["splits"].values()] == [4, 2, 2]


def test_every_case_has_its_files(folder, manifest):
    for case in manifest["cases"]:
        image = read(folder / case["image"])
        assert image.shape == (40, 40, 3)
        for key in ("label", "label_2nd", "mask"):
            pixels = read(folder / case[key])
            assert pixels.shape == (40, 40)
            assert set(np.unique(pixels)) == {0, 255}


def test_a_second_call_writes_nothing(folder, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr("sys.stderr", None)  # no progress bar either
    fundus_phantom(folder, **SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.parametrize("num_written", [0, 1, 2, 17, 33])
def test_completes_what_a_killed_call_left(folder, tmp_path, num_written):
    """Of the 34 files any number may be there, with the settings as the first of them."""
    whole = contents(folder)
    names = sorted(whole, key=lambda name: (name != "phantom.json", name == "manifest.json", name))
    assert len(names) == 34
    (tmp_path / ".phantom.json.abc.tmp").write_text("{")
    for name in names[:num_written]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(whole[name])
    fundus_phantom(tmp_path, **SETTINGS)
    (tmp_path / ".phantom.json.abc.tmp").unlink()
    assert contents(tmp_path) == whole


def test_writes_the_settings_first_and_the_manifest_last(tmp_path, monkeypatch):
    written = []

    def recording_write(path, mode="wb"):
        written.append(path.name)
        return atomic_write(path, mode)

    # The package shows the function under the name of its module.
    for name in ("fundus_phantom", "phantom_folder"):
        module = importlib.import_module(f"medkd.data.phantoms.{name}")
        monkeypatch.setattr(module, "atomic_write", recording_write)
    fundus_phantom(tmp_path, **SETTINGS)
    assert len(written) == 34
    assert (written[0], written[-1]) == ("phantom.json", "manifest.json")


def test_rejects_a_folder_with_other_files(tmp_path):
    (tmp_path / "patient.nii.gz").write_bytes(b"scan")
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=r"holds other files, such as patient\.nii\.gz"):
        fundus_phantom(tmp_path, **SETTINGS)
    assert contents(tmp_path) == before


def test_rejects_a_phantom_of_other_settings(folder):
    before = contents(folder)
    with pytest.raises(ValueError, match="holds one with seed 3 instead of 4"):
        fundus_phantom(folder, **{**SETTINGS, "seed": 4})
    with pytest.raises(ValueError, match="image_size 40 instead of 48"):
        fundus_phantom(folder, **{**SETTINGS, "image_size": 48})
    assert contents(folder) == before


def test_rejects_someone_elses_phantom_file(tmp_path):
    (tmp_path / "phantom.json").write_text("not JSON")
    with pytest.raises(ValueError, match="Expected `dataset_dir`"):
        fundus_phantom(tmp_path, **SETTINGS)
    assert contents(tmp_path) == {"phantom.json": b"not JSON"}


def test_rejects_a_file_as_folder(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(ValueError, match="is a file"):
        fundus_phantom(path, **SETTINGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("image_size", 31),
        ("image_size", 64.0),
        ("num_train", 0),
        ("num_validation", True),
        ("num_test", -1),
        ("seed", -1),
    ],
)
def test_rejects_settings_out_of_range(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be an integer of at least"):
        fundus_phantom(tmp_path / "new", **{**SETTINGS, name: value})
    assert not (tmp_path / "new").exists()
