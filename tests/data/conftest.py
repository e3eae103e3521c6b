from __future__ import annotations

import json
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
SIZE = (12, 9)  # width, height: unequal, so a swapped axis cannot pass


@pytest.fixture
def manifest_content():
    """A valid manifest of four eyes of three patients, as parsed JSON."""
    patients = {"1L": "1", "1R": "1", "2L": "2", "3L": "3"}
    return {
        "name": "eyes",
        "channel_names": {"0": "red", "1": "green", "2": "blue"},
        "labels": {"background": 0, "vessel": 1},
        "label_values": {"0": 0, "255": 1},
        "cases": [
            {
                "case_id": eye,
                "patient": patient,
                "image": f"images/{eye}.png",
                "label": f"labels/{eye}_hand.png",
                "mask": f"fov/{eye}.gif",
            }
            for eye, patient in patients.items()
        ],
        "splits": {"train": ["1L", "1R"], "validation": ["2L"], "test": ["3L"]},
    }


@pytest.fixture
def write_json(tmp_path):
    """Write content as the manifest ``eyes.json`` of the test's folder."""

    def write(content, name="eyes.json"):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return write


@pytest.fixture
def eyes(tmp_path, manifest_content, write_json):
    """A folder with the four eyes, and its manifest."""
    folder = tmp_path / "eyes"
    generator = np.random.default_rng(0)
    width, height = SIZE
    for sub in ("images", "labels", "fov"):
        (folder / sub).mkdir(parents=True)
    for case in manifest_content["cases"]:
        pixels = generator.integers(60, 250, (height, width, 3), dtype=np.uint8)
        label = np.zeros((height, width), dtype=np.uint8)
        label[3:6, 2:9] = 255
        mask = np.zeros((height, width), dtype=np.uint8)
        mask[1:-1, 1:-1] = 255
        Image.fromarray(pixels).save(folder / case["image"])
        Image.fromarray(label).save(folder / case["label"])
        Image.fromarray(mask).save(folder / case["mask"])
    return folder, write_json(manifest_content)


VOLUME = (7, 6, 5)  # unequal, so a swapped axis cannot pass


@pytest.fixture(scope="session")
def save_volume():
    """Write a NIfTI file of 1 x 1 x 2 mm, lying as RAS unless stated."""

    def save(path, array, affine=None, kind=nibabel.Nifti1Image):
        path.parent.mkdir(parents=True, exist_ok=True)
        affine = np.diag([1, 1, 2, 1]) if affine is None else affine
        nibabel.save(kind(array, affine), path)
        return path

    return save


@pytest.fixture
def volumes(tmp_path, write_json, save_volume):
    """Four volumes of four patients in the folders of nnU-Net, and what writes their manifest."""
    folder = tmp_path / "volumes"
    generator = np.random.default_rng(0)
    label = np.zeros(VOLUME, dtype=np.uint8)
    label[2:5, 2:4, 1:3], label[3, 3, 3] = 1, 2

    def write(channels=1, content=None):
        cases = []
        for name in "abcd":
            paths = [f"imagesTr/{name}_{channel:04d}.nii.gz" for channel in range(channels)]
            for path in paths:
                scan = generator.integers(-1000, 1000, VOLUME, dtype=np.int16)
                save_volume(folder / path, scan)
            save_volume(folder / "labelsTr" / f"{name}.nii.gz", label)
            image = paths if channels > 1 else paths[0]
            files = {"image": image, "label": f"labelsTr/{name}.nii.gz"}
            cases.append({"case_id": name, "patient": name, **files})
        manifest = {
            "name": "volumes",
            "spatial_dims": 3,
            "channel_names": {str(i): f"channel {i}" for i in range(channels)},
            "labels": {"background": 0, "atrium": 1, "ventricle": 2},
            "label_values": {"0": 0, "1": 1, "2": 2},
            "cases": cases,
            "splits": {"train": ["a", "b"], "test": ["c", "d"]},
        }
        return write_json(manifest | (content or {}), "volumes.json")

    return folder, write


@pytest.fixture(scope="session")
def manifests_dir():
    return ROOT / "data_manifests"


@pytest.fixture(scope="session")
def chase_dir(real_data):
    return real_data("chase_db1")


@pytest.fixture(scope="session")
def hippocampus_dir(real_data):
    return real_data("hippocampus")


@pytest.fixture(scope="session")
def brains_dir(real_data):
    return real_data("brain_t1")


@pytest.fixture(scope="session")
def ssl4mis_dir(real_data):
    return real_data("acdc_ssl4mis")


@pytest.fixture(scope="session")
def save_h5():
    """Write an h5 file with ``image`` and ``label``, or whichever parts are given."""

    def save(path, **parts):
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            for name, array in parts.items():
                file.create_dataset(name, data=array, compression="gzip")
        return path

    return save


HEART = (3, 5, 4)  # slices, rows, columns


@pytest.fixture
def hearts(tmp_path, save_h5):
    """Five patients as SSL4MIS has ACDC: slices of four to train on, a volume to measure on."""
    folder = tmp_path / "ACDC"
    generator = np.random.default_rng(0)
    volumes = {}
    for patient in (7, 3, 9, 5, 1):
        name = f"patient{patient:03d}_frame01"
        image = generator.random(HEART, dtype=np.float32)
        label = np.zeros(HEART, dtype=np.uint8)
        label[1, 1:4, 1:3], label[1, 2, 1], label[2, 2, 2] = 1, 2, 3
        volumes[name] = image, label
        if patient == 1:
            save_h5(folder / "data" / f"{name}.h5", image=image, label=label)
            continue
        for number, (plane, classes) in enumerate(zip(image, label, strict=True), start=1):
            path = folder / "data" / "slices" / f"{name}_slice_{number}.h5"
            save_h5(path, image=plane, label=classes)
    # The field's lists name slices in no order.
    slices = [f"{name}_slice_{number}" for name in volumes for number in (2, 3, 1)]
    (folder / "train_slices.list").write_text("".join(f"{s}\n" for s in slices if "001" not in s))
    (folder / "val.list").write_text("patient001_frame01\n")
    return folder, volumes
