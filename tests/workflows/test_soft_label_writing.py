from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from torch import nn
from torch.utils.weak import TensorWeakRef

from medkd.teachers import SoftLabelStore, TeacherEnsemble
from medkd.workflows import soft_label_writing, write_soft_labels

LOAD = [{"_target_": "LoadImaged", "keys": "image", "ensure_channel_first": True}]


class FirstAgainstSecond(nn.Module):
    """Two classes whose logits are the two channels."""

    def forward(self, image):
        return image[:, :2]


@pytest.fixture
def cases(tmp_path):
    """Three volumes with a file for each of two channels."""
    generator = np.random.default_rng(0)
    items = []
    for case_id in ("a", "b", "c"):
        channels = [str(tmp_path / f"{case_id}_{channel}.nii.gz") for channel in range(2)]
        for path in channels:
            volume = generator.normal(size=(6, 5, 4)).astype(np.float32)
            nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), path)
        items.append({"case_id": case_id, "image": channels})
    return items


@pytest.fixture
def store(tmp_path):
    return SoftLabelStore(tmp_path / "soft_labels")


@pytest.fixture
def write(monkeypatch, store, cases, tmp_path):
    """The stage, in a bundle with one member, and an inferer that looks at what is alive."""
    config = {"preprocessing": LOAD, "inferer": {"_target_": "SimpleInferer"}}
    teacher = TeacherEnsemble([FirstAgainstSecond()], temperature=2.0)
    monkeypatch.setattr(soft_label_writing, "running_parser", lambda: ConfigParser(config))
    monkeypatch.setattr(soft_label_writing, "member_weights_sha256", lambda *_: ["0" * 64])
    monkeypatch.setattr(soft_label_writing, "load_teacher", lambda *_, **__: teacher)

    def run(inferer):
        write_soft_labels(
            store=store,
            cases=cases,
            members_dir=tmp_path,
            num_members=1,
            temperature=2.0,
            inferer=inferer,
            device="cpu",
        )

    return run


def test_writes_the_teacher_of_volumes_with_a_file_a_channel(write, store, cases):
    write(lambda image, teacher: teacher(image))
    assert store.missing(cases) == []
    for case in cases:
        volume = np.stack([nibabel.load(path).get_fdata() for path in case["image"]])
        expected = 1 / (1 + np.exp((volume[0] - volume[1]) / 2.0))
        np.testing.assert_allclose(store.read(case["case_id"])[1], expected, atol=0.01)


def test_holds_one_case_at_a_time(write):
    made = []

    def inferer(image, teacher):
        assert [ref() for ref in made if ref() is not None] == []
        probs = teacher(image)
        made.append(TensorWeakRef(probs))
        return probs

    write(inferer)
    assert len(made) == 3


def test_predicts_only_what_is_missing(write, store, cases):
    calls = []

    def inferer(image, teacher):
        calls.append(image.shape)
        return teacher(image)

    write(inferer)
    write(inferer)
    assert len(calls) == len(cases)
    (store.directory / "b.h5").unlink()
    write(inferer)
    assert len(calls) == len(cases) + 1
    assert torch.isfinite(store.read("b")).all()
