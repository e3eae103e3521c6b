from __future__ import annotations

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.transforms import Compose, RandFlipd, RandRotate90d, RandSpatialCropd, SpatialPadd

from medkd.functional import decode_probs
from medkd.teachers import DecodeSoftLabeld, LoadSoftLabeld
from medkd.teachers.soft_label_file import write_codes

KEYS = ["image", "soft_label"]


@pytest.fixture
def case(spatial, generator, tmp_path):
    """An image that *is* the probability of class 1, so that the two can be compared anywhere."""
    codes = torch.randint(0, 256, (1, *spatial), generator=generator, dtype=torch.uint8)
    probs = decode_probs(codes.unsqueeze(0))[0]
    write_codes(tmp_path / "eye.h5", probs)
    return {"image": MetaTensor(probs[1:]), "soft_label": str(tmp_path / "eye.h5")}


def test_load_and_decode_give_the_probabilities(case, spatial):
    item = DecodeSoftLabeld("soft_label")(LoadSoftLabeld("soft_label")(case))
    assert item["soft_label"].shape == (2, *spatial)
    assert item["soft_label"].dtype == torch.float32
    assert torch.equal(item["soft_label"][1:], item["image"].as_tensor())
    torch.testing.assert_close(item["soft_label"].sum(dim=0), torch.ones(spatial))
    assert isinstance(case["soft_label"], str)  # the input is not modified


def test_codes_are_cached_at_a_byte_each(case, spatial):
    loaded = LoadSoftLabeld("soft_label")(case)["soft_label"]
    assert loaded.dtype == torch.uint8
    assert loaded.shape == (1, *spatial)


def test_round_trip_of_several_classes(spatial, generator, tmp_path):
    probs = torch.softmax(torch.randn(4, *spatial, generator=generator), dim=0)
    write_codes(tmp_path / "eye.h5", probs)
    item = {"image": torch.zeros(3, *spatial), "soft_label": str(tmp_path / "eye.h5")}
    item = DecodeSoftLabeld("soft_label")(LoadSoftLabeld("soft_label")(item))
    torch.testing.assert_close(item["soft_label"], probs, atol=0.01, rtol=0)


def test_moves_with_the_image_under_random_transforms(case, spatial):
    crop = tuple(size - 2 for size in spatial)
    transform = Compose(
        [
            LoadSoftLabeld("soft_label"),
            RandSpatialCropd(KEYS, roi_size=crop, random_size=False),
            *(RandFlipd(KEYS, prob=0.5, spatial_axis=axis) for axis in range(len(spatial))),
            RandRotate90d(KEYS, prob=0.5, max_k=3),
            DecodeSoftLabeld("soft_label"),
        ]
    )
    transform.set_random_state(seed=3)
    views = [transform(case) for _ in range(20)]
    for view in views:
        assert torch.equal(view["soft_label"][1:], view["image"].as_tensor())
    first = views[0]["image"].as_tensor()
    moved = [
        v for v in views if v["image"].shape != first.shape or not torch.equal(v["image"], first)
    ]
    assert len(moved) > 10


def test_padding_is_background(case, spatial):
    size = tuple(axis + 3 for axis in spatial)
    transform = Compose(
        [LoadSoftLabeld("soft_label"), SpatialPadd(KEYS, size), DecodeSoftLabeld("soft_label")]
    )
    item = transform(case)
    assert torch.equal(item["soft_label"][1:], item["image"].as_tensor())
    corner = (slice(None), *(-1 for _ in spatial))
    assert item["soft_label"][corner].tolist() == [1.0, 0.0]


def test_missing_keys_are_passed_over_when_allowed():
    item = {"image": torch.zeros(1, 4, 3)}
    for transform in (LoadSoftLabeld, DecodeSoftLabeld):
        assert transform("soft_label", allow_missing_keys=True)(item).keys() == item.keys()
        with pytest.raises(KeyError, match="soft_label"):
            transform("soft_label")(item)


def test_are_made_from_json(case):
    config = {
        "transform": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "medkd.teachers.LoadSoftLabeld", "keys": "soft_label"},
                {"_target_": "medkd.teachers.DecodeSoftLabeld", "keys": "soft_label"},
            ],
        }
    }
    item = ConfigParser(config).get_parsed_content("transform")(case)
    assert torch.equal(item["soft_label"][1:], item["image"].as_tensor())


def test_rejects_a_label_of_another_size(case, spatial):
    case["image"] = torch.zeros(1, *spatial[::-1])
    with pytest.raises(ValueError, match=r"eye\.h5 to have the size of its image, \("):
        LoadSoftLabeld("soft_label")(case)


def test_rejects_a_damaged_file(case, tmp_path):
    path = tmp_path / "eye.h5"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match=f"Expected {path} to hold a soft label, but it cannot be"):
        LoadSoftLabeld("soft_label")(case)
