from __future__ import annotations

import torch

from medkd.workflows.prepared_case import prepare_case


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
