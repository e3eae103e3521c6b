from __future__ import annotations

import pytest
import torch
from monai.data import MetaTensor

from medkd.judging.prepared_case import BAND_RADIUS_MM, prepare_case


def test_is_of_plain_tensors(items, spatial):
    case = prepare_case(items[0], dict, "cpu")
    assert case.case_id == "eye_1"
    for tensor in (case.image, case.label, case.mask):
        assert type(tensor) is torch.Tensor
        assert tensor.shape == (1, 1, *spatial)
    assert (case.label.dtype, case.mask.dtype) == (torch.int64, torch.bool)
    assert case.second_label is None


def test_has_the_second_observers_label_where_there_is_one(items, spatial):
    second = torch.ones(1, *spatial, dtype=torch.uint8)
    case = prepare_case({**items[0], "label_2nd": second}, dict, "cpu")
    assert torch.equal(case.second_label, second[None].long())


def test_a_second_label_that_was_not_read_is_left_out(items):
    # A bundle of one observer leaves the path as it is.
    assert prepare_case({**items[0], "label_2nd": "a.png"}, dict, "cpu").second_label is None


@pytest.fixture
def volume():
    """Right-to-left, thick slices: the label says where it lies, the image is a plain tensor."""
    affine = torch.diag(torch.tensor([-0.8, 1.5, 4.0, 1.0], dtype=torch.float64))
    label = torch.zeros(1, 20, 12, 7)
    label[:, 10:] = 1
    return {
        "case_id": "scan",
        "image": torch.rand(2, 20, 12, 7),
        "label": MetaTensor(label, affine=affine),
    }


def test_a_volume_has_its_geometry_and_no_mask(volume):
    case = prepare_case(volume, dict, "cpu")
    assert case.mask is None
    assert case.spacing == pytest.approx((0.8, 1.5, 4.0))
    assert case.axcodes == ("L", "A", "S")
    assert type(case.label) is torch.Tensor


def test_the_band_of_a_volume_is_in_millimeters(volume):
    band = prepare_case(volume, dict, "cpu").band
    assert BAND_RADIUS_MM == 3.0
    assert band[0, 0, :, 0, 0].nonzero().flatten().tolist() == [7, 8, 9, 10, 11, 12]


def test_the_band_of_a_picture_is_in_pixels():
    label = torch.zeros(1, 20, 12)
    label[:, 10:] = 1
    item = {"case_id": "eye", "image": MetaTensor(label), "label": MetaTensor(label)}
    case = prepare_case(item, dict, "cpu")
    assert case.spacing is None
    assert case.axcodes is None
    assert case.band[0, 0, :, 0].nonzero().flatten().tolist() == list(range(7, 13))
    assert case.band is case.band  # computed once for all predictors


def test_a_volume_without_geometry_has_no_spacing(volume):
    case = prepare_case({**volume, "label": volume["label"].as_tensor()}, dict, "cpu")
    assert case.spacing is None
