from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from medkd.data import EncodeLabeld

LABEL_VALUES = {0: 0, 128: 2, 255: 1}


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def stored(request):
    generator = torch.Generator().manual_seed(0)
    choice = torch.randint(3, (1, *request.param), generator=generator)
    return torch.tensor([0.0, 128.0, 255.0])[choice]


def test_equals_a_lookup_of_every_voxel(stored):
    encoded = EncodeLabeld("label", LABEL_VALUES)({"label": stored})["label"]
    expected = [LABEL_VALUES[int(value)] for value in stored.flatten()]
    assert encoded.flatten().tolist() == expected
    assert encoded.shape == stored.shape
    assert encoded.dtype == torch.uint8


def test_many_classes_need_a_wider_type():
    encode = EncodeLabeld("label", {value: value for value in range(300)})
    assert encode({"label": torch.tensor([[299.0]])})["label"].item() == 299


def test_keeps_metadata_and_leaves_the_case_untouched(stored):
    case = {"label": MetaTensor(stored.clone(), meta={"filename_or_obj": "a.png"})}
    encoded = EncodeLabeld("label", LABEL_VALUES)(case)["label"]
    assert encoded.meta["filename_or_obj"] == "a.png"
    assert torch.equal(case["label"].as_tensor(), stored)


def test_leaves_out_a_second_observer_that_is_not_there(stored):
    encode = EncodeLabeld(["label", "label_2nd"], LABEL_VALUES, allow_missing_keys=True)
    assert list(encode({"label": stored})) == ["label"]


def test_rejects_other_values_naming_file_found_and_expected():
    label = MetaTensor(torch.tensor([[0.0, 7.0, 255.0, 3.5]]), meta={"filename_or_obj": "a.png"})
    with pytest.raises(
        ValueError, match=r"label a\.png to hold only the values \[0, 255\] .* but got 3.5, 7\."
    ):
        EncodeLabeld("label", {0: 0, 255: 1})({"label": label})


def test_rejects_many_other_values_without_listing_all():
    with pytest.raises(ValueError, match="6, 7 and 12 more"):
        EncodeLabeld("label", {255: 1})({"label": torch.arange(20.0)[None]})


def test_a_permuted_volume_of_many_values_over_several_chunks(monkeypatch):
    monkeypatch.setattr("medkd.data.transforms.encode_label._CHUNK", 7)
    values = {value * 3: value % 6 for value in range(140)}
    generator = torch.Generator().manual_seed(0)
    stored = torch.randint(140, (4, 5, 6, 1), generator=generator).float().permute(3, 2, 1, 0) * 3
    encoded = EncodeLabeld("label", values)({"label": stored})["label"]
    assert encoded.tolist() == (stored / 3 % 6).tolist()


def test_rejects_without_listing_all_that_is_known():
    with pytest.raises(ValueError, match=r"values \[0, 1, .* and 132 more\] of .* but got 0\.5"):
        EncodeLabeld("label", {v: v for v in range(140)})({"label": torch.tensor([[0.5]])})


def test_rejects_nan():
    with pytest.raises(ValueError, match=r"label `label` to hold only .* but got nan"):
        EncodeLabeld("label", {0: 0})({"label": torch.tensor([[0.0, float("nan")]])})


def test_rejects_several_channels():
    with pytest.raises(ValueError, match=r"shape \(1, \*spatial\), but got shape \(3, 4, 5\)"):
        EncodeLabeld("label", {0: 0})({"label": torch.zeros(3, 4, 5)})


def test_rejects_no_values():
    with pytest.raises(ValueError, match="`label_values` to have at least one value"):
        EncodeLabeld("label", {})


LARGE = {0: 0, 312782546: 1, 312782550: 2}


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64, torch.float64])
def test_large_ids_stay_apart(dtype):
    stored = torch.tensor([[312782550, 0, 312782546]], dtype=dtype)
    assert EncodeLabeld("label", LARGE)({"label": stored})["label"].tolist() == [[2, 0, 1]]


def test_rejects_ids_that_single_precision_has_merged():
    encode = EncodeLabeld("label", LARGE)
    with pytest.raises(ValueError, match=r"torch\.float32 merges values as large as 312782550"):
        encode({"label": torch.tensor([[312782550.0]])})


def test_rejects_a_large_id_in_full():
    with pytest.raises(ValueError, match=r"\[0, 312782546, 312782550\] .* but got 312782554\."):
        EncodeLabeld("label", LARGE)({"label": torch.tensor([[312782554]])})
