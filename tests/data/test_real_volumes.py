"""Real volumes and their traps."""

from __future__ import annotations

import shutil

import nibabel
import numpy as np
import pytest
from monai.transforms import Compose, LoadImaged

from medkd.data import (
    CheckCased,
    EncodeLabeld,
    VolumeFileReader,
    check_cases,
    make_manifest,
    parse_manifest,
)


def messages(manifest, folder):
    return [(f.severity, f.message) for _, found in check_cases(manifest, folder) for f in found]


def test_hippocampus(real_data, tmp_path):
    source = real_data("hippocampus")
    for part in ("imagesTr", "labelsTr"):
        (tmp_path / part).mkdir()
        for path in sorted((source / part).iterdir())[:5]:
            shutil.copy(path, tmp_path / part)
    manifest = make_manifest(tmp_path)
    assert manifest.label_values == {0: 0, 1: 1, 2: 2}
    assert len(manifest.cases) == 5
    assert messages(manifest, tmp_path) == []


def test_brain_t1(real_data):
    folder = real_data("brain_t1")
    manifest = make_manifest(folder, label_values={0: 0, 1: 1})
    assert "a plain folder: images, labels" in manifest.changes
    assert manifest.channel_names == {0: "image"}
    assert [len(ids) for ids in manifest.splits.values()] == [6, 1, 2]
    values = np.unique(nibabel.load(folder / "labels" / "1000.nii.gz").dataobj).tolist()
    load = Compose(
        [
            LoadImaged(["image", "label"], reader=VolumeFileReader(), ensure_channel_first=True),
            EncodeLabeld("label", {v: i for i, v in enumerate(values)}),
            CheckCased(keys=["image", "label"]),
        ]
    )
    files = {key: str(folder / f"{key}s" / "1000.nii.gz") for key in ("image", "label")}
    assert int(load(files)["label"].max()) == len(values) - 1


@pytest.mark.parametrize(
    ("image", "severity", "message"),
    [
        ("example4d.nii.gz", "error", "but got shape (128, 96, 24, 2)"),
        ("example_nifti2.nii.gz", "error", "but got shape (32, 20, 12, 2)"),
        ("example_nifti2.nii.gz", "warning", "is NIfTI-2, which is read here"),
        ("functional.nii", "error", "but got shape (17, 21, 3, 20)"),
        ("nifti1.hdr", "error", "to be a whole NIfTI file, but got"),
        ("psr_orientation/image.nii.gz", "", ""),
    ],
)
def test_nifti_odd(real_data, image, severity, message):
    folder = real_data("nifti_odd")
    label = "psr_orientation/label.nii.gz"
    case = {"case_id": "odd", "patient": "1", "image": image, "label": label}
    manifest = parse_manifest(
        {
            "name": "odd",
            "spatial_dims": 3,
            "channel_names": {"0": "MR"},
            "labels": {"background": 0, "cord": 1},
            "label_values": {"0": 0, "1": 1},
            "cases": [case],
            "splits": {"all": ["odd"]},
        }
    )
    found = messages(manifest, folder)
    if not severity:
        assert found == []
    else:
        assert any(s == severity and message in text for s, text in found)
