from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
    """Both eyes of four people, with labels, and a manifest beside them."""
    folder = tmp_path / "photos"
    (folder / "images").mkdir(parents=True)
    (folder / "labels").mkdir()
    generator = np.random.default_rng(0)
    eyes = [f"{person}{eye}" for person in range(1, 5) for eye in "LR"]
    for name in eyes:
        pixels = generator.integers(50, 250, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        label = np.zeros((9, 12), dtype=np.uint8)
        label[3:5, 2:9] = 255
        Image.fromarray(label).save(folder / "labels" / f"{name}_hand.png")
    content = {
        "name": "photos",
        "channel_names": {"0": "red", "1": "green", "2": "blue"},
        "labels": {"background": 0, "vessel": 1},
        "label_values": {"0": 0, "255": 1},
        "cases": [
            {
                "case_id": name,
                "patient": name[0],
                "image": f"images/{name}.png",
                "label": f"labels/{name}_hand.png",
            }
            for name in eyes
        ],
        "splits": {"train": eyes[:4], "validation": eyes[4:6], "test": eyes[6:]},
    }
    manifest = tmp_path / "photos.json"
    manifest.write_text(json.dumps(content))
    return folder, manifest


@pytest.fixture
def scans(tmp_path):
    """Six patients with two volumes each, in plain folders."""
    folder = tmp_path / "scans"
    generator = np.random.default_rng(0)
    for sub in ("images", "labels"):
        (folder / sub).mkdir(parents=True)
    label = np.zeros((6, 5, 4), dtype=np.int16)
    label[2:4, 2:4, 1], label[3, 3, 2] = 205, 500
    for name in (f"patient{person}_frame{time}" for person in range(6) for time in (1, 12)):
        scan = generator.integers(0, 900, label.shape, dtype=np.int16)
        for array, path in ((scan, f"images/{name}.nii.gz"), (label, f"labels/{name}_gt.nii.gz")):
            nibabel.save(nibabel.Nifti1Image(array, np.diag([1.5, 1.5, 8, 1])), folder / path)
    return folder
