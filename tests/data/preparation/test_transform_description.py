from __future__ import annotations

import importlib.util
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Lambda, LoadImaged, Orientationd, Spacingd

from medkd.data import EncodeLabeld, VolumeFileReader
from medkd.data.preparation.transform_description import Undescribable, describe

SCRIPT = """
from monai.transforms import Spacingd
from medkd.data import EncodeLabeld
from medkd.data.preparation.transform_description import describe
sets = EncodeLabeld("label", {0: 0, 9: 1})
sets.names = {"a", "b", "c", "d", "e"}
print(describe([sets, Spacingd("image", (1.5, 1, 1))]))
"""


class Holder:
    """A transform that holds whatever it is given."""

    def __init__(self, held):
        self.held = held


class TestTellsApart:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (Spacingd("image", (1.0, 1.0, 2.0)), Spacingd("image", (1.0, 2.0, 1.0))),
            (Spacingd("image", 1.0, mode="bilinear"), Spacingd("image", 1.0, mode="nearest")),
            (Spacingd("image", 1.0), Spacingd("label", 1.0)),
            (
                Orientationd("image", "RAS", labels=None),
                Orientationd("image", "LPS", labels=None),
            ),
            (EncodeLabeld("label", {0: 0, 255: 1}), EncodeLabeld("label", {0: 0, 254: 1})),
            (
                LoadImaged("image", reader=VolumeFileReader(num_channels=1)),
                LoadImaged("image", reader=VolumeFileReader(num_channels=2)),
            ),
            (LoadImaged("image"), LoadImaged("image", dtype=None)),
            (Holder(torch.tensor([1.0, 2.0])), Holder(torch.tensor([1.0, 3.0]))),
            (Holder(torch.tensor([1, 2])), Holder(torch.tensor([1.0, 2.0]))),
            (Holder(np.zeros((2, 3))), Holder(np.zeros((3, 2)))),
            (Holder([1, 2]), Holder((1, 2))),
            (Holder(1), Holder(True)),
            (Holder(torch.float32), Holder(torch.float64)),
            (Holder(Path("a")), Holder("a")),
            (Holder(np.mean), Holder(np.median)),
            (Holder(Holder(1)), Holder(Holder(2))),
        ],
    )
    def test_what_does_something_else(self, one, other):
        assert describe([one]) != describe([other])
        assert describe([one, other]) != describe([other, one])

    def test_a_class_whose_file_was_edited(self, tmp_path):
        texts = []
        for factor in (2, 3):
            file = tmp_path / "mine.py"
            file.write_text(
                f"class Times:\n    def __call__(self, x):\n        return x * {factor}"
            )
            spec = importlib.util.spec_from_file_location("mine", file)
            module = importlib.util.module_from_spec(spec)
            sys.modules["mine"] = module
            spec.loader.exec_module(module)
            texts.append(describe([module.Times()]))
        del sys.modules["mine"]
        assert texts[0] != texts[1]


class TestIsTheSame:
    def test_for_what_does_the_same(self):
        def make():
            return [
                EncodeLabeld("label", {0: 0, 9: 1}),
                Spacingd("image", (1.5, 1, 1)),
                Holder({"a", "b", "c"}),
            ]

        assert describe(make()) == describe(make())

    def test_after_use(self):
        step = Spacingd("image", (1.5, 1.0, 1.0))
        before = describe([step])
        step({"image": MetaTensor(torch.rand(1, 5, 4, 3), affine=np.eye(4))})
        assert describe([step]) == before

    def test_in_another_process(self):
        result = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", SCRIPT],
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": "1"},
            text=True,
            check=True,
        )
        sets = EncodeLabeld("label", {0: 0, 9: 1})
        sets.names = {"e", "d", "c", "b", "a"}
        here = describe([sets, Spacingd("image", (1.5, 1, 1))])
        assert result.stdout.splitlines()[-1] == here

    def test_for_objects_that_refer_to_each_other(self):
        holder = Holder(None)
        holder.held = [holder]
        assert describe([holder]) == describe([holder])


@pytest.mark.parametrize(
    "held",
    [lambda x: x, io.StringIO().write, open, np.array([object()])],
    ids=["a lambda", "a method of an object", "open", "objects"],
)
def test_rejects_what_cannot_be_told(held, tmp_path):
    if held is open:
        with (tmp_path / "file").open("w") as file, pytest.raises(Undescribable):
            describe([Holder(file)])
        return
    with pytest.raises(Undescribable):
        describe([Lambda(held) if callable(held) else Holder(held)])


def test_rejects_a_structure_without_an_end():
    endless = []
    endless.append(endless)
    with pytest.raises(Undescribable, match="without an end"):
        describe([Holder(endless)])
