from __future__ import annotations

import io
from enum import Enum

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.utils import SpaceKeys

from medkd.data.preparation.prepared_entry import NotPlainError, PreparedEntry


class Unit(Enum):
    MILLIMETERS = "mm"


def through_a_file(entry):
    buffer = io.BytesIO()
    torch.save(entry.plain(), buffer)
    buffer.seek(0)
    return PreparedEntry.from_plain(torch.load(buffer, weights_only=True))


VALUES = {
    "a tuple": (1, (2.5, "text"), []),
    "a list": [1, {"key": (2,)}],
    "a number of numpy": np.float32(1.5),
    "an array": np.array([[1, 2, 3]], dtype=np.uint8),
    "an array of truths": np.array([True, False]),
    "nothing": None,
    "bytes": b"abc",
    "a type": torch.float16,
    "a size": torch.Size([1, 2]),
    "nested": {"deep": [{"deeper": (np.int64(3), torch.arange(3))}]},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_a_file_gives_back_what_was_kept(value):
    entry = PreparedEntry({"value": value}, ("gone",), {"value": "image"}, torch.zeros(1))
    again = through_a_file(entry)
    assert_same(again.values["value"], value)
    assert (again.dropped, again.files) == (entry.dropped, entry.files)
    assert torch.equal(again.picture, entry.picture)


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(other, (list, tuple)):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert_same(mine, theirs)
    elif isinstance(other, dict):
        assert one.keys() == other.keys()
        for key in other:
            assert_same(one[key], other[key])
    elif isinstance(other, np.ndarray | np.generic):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    elif isinstance(other, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def test_a_file_gives_back_where_voxels_lie():
    image = MetaTensor(torch.rand(1, 4, 3, 2), affine=torch.diag(torch.tensor([1.0, 2, 3, 1])))
    image.meta["space"] = SpaceKeys.LPS
    image.meta["spatial_shape"] = np.array([4, 3, 2])
    image.applied_operations.append({"class": "Flip", "id": 12345, "orig_size": (4, 3, 2)})
    again = through_a_file(PreparedEntry.of({}, {"image": image}, None)).fill({})["image"]
    assert torch.equal(again, image)
    assert torch.equal(again.affine, image.affine)
    assert again.meta["space"] == SpaceKeys.LPS
    assert again.applied_operations == [{"class": "Flip", "id": "none", "orig_size": (4, 3, 2)}]
    assert image.applied_operations[0]["id"] == 12345


def test_a_part_of_a_volume_is_kept_without_the_rest():
    volume = torch.zeros(4, 10, 10)
    entry = PreparedEntry.of({}, {"image": volume[1:2], "turned": volume.transpose(1, 2)}, None)
    assert entry.values["image"].untyped_storage().nbytes() == 400
    assert entry.values["turned"].is_contiguous()
    assert entry.nbytes == 2000


@pytest.mark.parametrize(
    "value",
    [object(), Unit, lambda: 1, np.array(["text"]), {("a",): object()}],
    ids=["an object", "a class", "a function", "texts", "deep"],
)
def test_rejects_for_a_file_what_could_be_code(value):
    with pytest.raises(NotPlainError):
        PreparedEntry({"value": value}).plain()
