from __future__ import annotations

import importlib
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from medkd.data.phantoms import (
    abdominal_ct_phantom,
    brain_mri_phantom,
    cardiac_mri_phantom,
    chest_ct_phantom,
    left_atrium_phantom,
)
from medkd.files import atomic_write

SETTINGS = dict(num_train=2, num_validation=1, num_test=1, coarsening=5, seed=3)
PHANTOMS = {
    "chest": (chest_ct_phantom, "CT", "CT", 5, 4),
    "brain": (brain_mri_phantom, "MR", "T1", 7, 4),
    "cardiac": (cardiac_mri_phantom, "MR", "cine MR", 4, 8),
    "abdomen": (abdominal_ct_phantom, "CT", "CT", 2, 4),
    "atrium": (left_atrium_phantom, "MR", "LGE MR", 2, 4),
}


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", params=PHANTOMS)
def kind(request):
    return PHANTOMS[request.param]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, kind):
    folder = tmp_path_factory.mktemp("phantom")
    kind[0](folder, **SETTINGS)
    return folder


@pytest.fixture(scope="module")
def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_writes_the_same_bytes_every_time(kind, folder, tmp_path):
    path = kind[0](tmp_path / "new" / "folder", **SETTINGS)
    assert path == str(tmp_path / "new" / "folder" / "manifest.json")
    assert contents(Path(path).parent) == contents(folder)


def test_manifest_says_what_the_files_are(kind, manifest):
    phantom, modality, channel, num_classes, num_cases = kind
    assert manifest["name"] == phantom.name
    assert (manifest["spatial_dims"], manifest["modality"]) == (3, modality)
    assert manifest["channel_names"] == {"0": channel}
    assert sorted(manifest["labels"].values()) == list(range(num_classes))
    assert manifest["labels"]["background"] == 0
    assert manifest["label_values"] == {str(index): index for index in range(num_classes)}
    assert len(manifest["cases"]) == num_cases


def test_splits_are_by_patient(manifest):
    patient = {case["case_id"]: case["patient"] for case in manifest["cases"]}
    splits = {name: {patient[case] for case in ids} for name, ids in manifest["splits"].items()}
    assert {name: len(patients) for name, patients in splits.items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }
    assert len(set.union(*splits.values())) == 4
    assert sum(map(len, manifest["splits"].values())) == len(patient)


def test_every_label_lies_on_its_image_and_holds_every_class(kind, folder, manifest):
    for case in manifest["cases"]:
        image, label = (nibabel.load(folder / case[key]) for key in ("image", "label"))
        assert isinstance(image, nibabel.Nifti1Image)
        assert image.shape == label.shape
        assert len(image.shape) == 3
        np.testing.assert_array_equal(image.affine, label.affine)
        assert label.get_data_dtype() == np.uint8
        assert set(np.unique(label.dataobj)) == set(range(kind[3]))
        assert np.isfinite(image.get_fdata()).all()


def test_a_second_call_writes_nothing(kind, folder, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    monkeypatch.setattr("sys.stderr", None)  # no progress bar either
    kind[0](folder, **SETTINGS)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_draws_again_only_what_is_missing(kind, folder, manifest, tmp_path, monkeypatch):
    whole = contents(folder)
    lost = [manifest["cases"][1]["label"], "manifest.json"]
    for name, content in whole.items():
        if name not in lost:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
    written = []

    def recording_write(path, mode="wb"):
        written.append(str(Path(path).relative_to(tmp_path)))
        return atomic_write(path, mode)

    for name in ("images.volume_file_writer", "phantoms.phantom_folder"):
        module = importlib.import_module(f"medkd.data.{name}")
        monkeypatch.setattr(module, "atomic_write", recording_write)
    kind[0](tmp_path, **SETTINGS)
    assert contents(tmp_path) == whole
    expected = ["phantom.json", manifest["cases"][1]["image"], lost[0], "manifest.json"]
    assert written == expected


def test_rejects_a_phantom_of_other_settings(kind, folder):
    before = contents(folder)
    with pytest.raises(ValueError, match="coarsening 5 instead of 4"):
        kind[0](folder, **{**SETTINGS, "coarsening": 4})
    assert contents(folder) == before


def test_rejects_the_phantom_of_another_kind(kind, folder):
    other = next(phantom for phantom, *_ in PHANTOMS.values() if phantom is not kind[0])
    with pytest.raises(ValueError, match="holds one with generator"):
        other(folder, **SETTINGS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("coarsening", 0),
        ("coarsening", 1.5),
        ("num_train", 0),
        ("num_validation", True),
        ("num_test", -1),
        ("seed", -1),
    ],
)
def test_rejects_settings_out_of_range(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"Expected `{name}` to be an integer of at least"):
        chest_ct_phantom(tmp_path / "new", **{**SETTINGS, name: value})
    assert not (tmp_path / "new").exists()
