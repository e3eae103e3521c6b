"""Small data sets of volumes, whose numbers are known, and fingerprints made by hand."""

import json

import nibabel
import numpy as np
import pytest

from medkd.data import read_manifest
from medkd.planning import ChannelFingerprint, ClassFingerprint, Fingerprint


@pytest.fixture
def make_fingerprint():
    """A fingerprint of volumes that are all alike, unless told otherwise."""

    def make(
        shape=(40, 40, 40),
        spacing=(1.0, 1.0, 1.0),
        *,
        modality="MR",
        zero_share=0.0,
        classes=("heart",),
        channels=("T1",),
        num_cases=10,
        **changes,
    ):
        channel = {
            "low": -160.4,
            "high": 239.6,
            "mean": 40.0,
            "std": 60.0,
            "minimum": 0.0,
            "whole_numbers": True,
            "zero_share": zero_share,
        }
        arguments = {
            "dataset": "by hand",
            "modality": modality,
            "modality_source": "the test says so",
            "case_ids": tuple(f"case_{i}" for i in range(num_cases)),
            "shapes": (tuple(shape),) * num_cases,
            "spacings": (tuple(spacing),) * num_cases,
            "orientations": {"RAS": num_cases},
            "body": (30.0, 30.0, 30.0),
            "channels": tuple(ChannelFingerprint(name=name, **channel) for name in channels),
            "classes": tuple(ClassFingerprint(name, num_cases, 0.1, 2.0) for name in classes),
        }
        return Fingerprint(**(arguments | changes))

    return make


@pytest.fixture
def volumes(tmp_path):
    """Write NIfTI files and a manifest; return the manifest and its folder."""

    def write(cases, *, splits=None, channel_names=("T1",), modality="", label_values=None):
        """``cases``: image ``(X, Y, Z)`` or a list of them, label, and affine of each case."""
        entries = []
        for index, (images, label, affine) in enumerate(cases):
            images = images if isinstance(images, list) else [images]
            names = [f"images/{index}_{channel:04d}.nii.gz" for channel in range(len(images))]
            files = [*names, f"labels/{index}.nii.gz"]
            for name, image in zip(files, [*images, label], strict=True):
                path = tmp_path / "set" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                nibabel.save(nibabel.Nifti1Image(image, affine), path)
            entry = {
                "case_id": str(index),
                "patient": str(index),
                "label": f"labels/{index}.nii.gz",
            }
            entries.append(entry | {"image": names if len(names) > 1 else names[0]})
        values = label_values or {0: 0, 1: 1}
        ids = [str(index) for index in range(len(cases))]
        content = {
            "name": "small volumes",
            "modality": modality,
            "spatial_dims": 3,
            "channel_names": {str(i): name for i, name in enumerate(channel_names)},
            "labels": {"background": 0}
            | {f"structure {i}": i for i in range(1, max(values.values()) + 1)},
            "label_values": {str(stored): index for stored, index in values.items()},
            "cases": entries,
            "splits": splits or {"train": ids[:-2], "validation": ids[-2:-1], "test": ids[-1:]},
        }
        path = tmp_path / "set" / "manifest.json"
        path.write_text(json.dumps(content))
        return read_manifest(path), tmp_path / "set"

    return write


@pytest.fixture
def two_balls(volumes):
    """Six MR volumes of different sizes with a bright half."""
    generator = np.random.default_rng(0)
    cases = []
    for size in (12, 12, 13, 12, 12, 12):
        label = np.zeros((size, 11, 10), dtype=np.uint8)
        label[:6] = 1
        image = (100 + 50 * label + generator.normal(0, 5, label.shape)).astype(np.float32)
        cases.append((image, label, np.diag([1.0, 1.0, 1.2, 1.0])))
    return volumes(cases)
