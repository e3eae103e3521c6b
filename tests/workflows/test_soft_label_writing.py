from __future__ import annotations

import nibabel
import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.weak import TensorWeakRef

from medkd.teachers import SoftLabelStore, TeacherEnsemble
from medkd.workflows import soft_label_writing, write_soft_labels

PREPARED = {"_target_": "medkd.data.PreparedCases", "transforms": "@preprocessing"}
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
def write(monkeypatch, store, cases, make_run, tmp_path):
    """The stage, in a bundle with one member, and an inferer that looks at what is alive."""
    (tmp_path / "members" / "member_0").mkdir(parents=True)
    (tmp_path / "members" / "member_0" / "model.pt").write_text("weights")

    def load_teacher(_members_dir, _num_members, *, temperature, device):  # noqa: ARG001
        return TeacherEnsemble([FirstAgainstSecond()], temperature=temperature)

    monkeypatch.setattr(soft_label_writing, "load_teacher", load_teacher)

    def run(inferer, *, temperature=2.0, transforms=LOAD):
        ids = {
            "members_dir": str(tmp_path / "members"),
            "num_members": 1,
            "soft_label_store": store,
            "train": {"cases": cases},
            "distillation_temperature": temperature,
            "preprocessing": transforms,
            "prepared_cases": PREPARED,
            "inferer": {"_target_": "SimpleInferer"} if callable(inferer) else inferer,
        }
        made = make_run(**ids)
        if callable(inferer):
            assert made.value("inferer") is not None
            made.parser.ref_resolver.resolved_content["inferer"] = inferer
        write_soft_labels(made)

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


SIMPLE = {"inferer": {"_target_": "SimpleInferer"}}


class TestKey:
    """What the labels depend on: whatever of it changes, they are written again."""

    @pytest.fixture
    def count(self, write, store, cases):
        """How many labels are written anew after a change."""

        def call(first, second):
            write(**first)
            for case in cases:
                (store.directory / f"{case['case_id']}.h5").touch()
            before = {path: path.stat().st_mtime_ns for path in store.directory.glob("*.h5")}
            write(**second)
            after = {path: path.stat().st_mtime_ns for path in store.directory.glob("*.h5")}
            return sum(before[path] != after[path] for path in after)

        return call

    def test_nothing_changed(self, count):
        assert count(SIMPLE, SIMPLE) == 0

    def test_other_transforms(self, count):
        shift = {"_target_": "ShiftIntensityd", "keys": "image", "offset": 1.0}
        assert count(SIMPLE, {**SIMPLE, "transforms": [*LOAD, shift]}) == 3

    def test_another_inferer(self, count):
        windows = {"_target_": "SlidingWindowInferer", "roi_size": [4, 4, 4]}
        assert count(SIMPLE, {"inferer": windows}) == 3

    def test_another_temperature(self, count):
        assert count(SIMPLE, {**SIMPLE, "temperature": 3.0}) == 3

    def test_other_members(self, write, store, cases, tmp_path):
        write(**SIMPLE)
        (tmp_path / "members" / "member_0" / "model.pt").write_text("others")
        before = {path: path.stat().st_mtime_ns for path in store.directory.glob("*.h5")}
        write(**SIMPLE)
        assert len(before) == len(cases)
        assert all(path.stat().st_mtime_ns != time for path, time in before.items())
