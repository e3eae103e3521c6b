from __future__ import annotations

import math

import pytest

from medkd.losses import MutualDiceLoss
from medkd.workflows import check_settings

CASES = [[{"case_id": "a"}], [{"case_id": "b"}]]


def check(**settings):
    check_settings(**{"cases": CASES, "device": "cpu", **settings})


def test_passes_what_can_be_trained():
    check(num_members=5, dropout=0.2)
    check(mutual_weight=4.0, mutual_loss=MutualDiceLoss(temperature=2.0), ramp_up_epochs=3)
    check(mutual_weight=0)  # a labels-only network needs no loss but that of the labels


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cases": [[{"case_id": "a"}], []]}, "every split that is read to have a case"),
        ({"dropout": 1.0}, "`dropout` to be at least 0 and below 1, but got 1.0"),
        ({"num_members": 0}, "`num_members` to be at least 1"),
        ({"distillation_weight": 0.5}, "`distillation_loss` when `distillation_weight` is above"),
        ({"mutual_weight": -0.1}, "`mutual_weight` to be finite and zero or more, but got -0.1"),
        ({"mutual_weight": math.nan}, "`mutual_weight` to be finite and zero or more, but got nan"),
        ({"mutual_weight": 4}, "`mutual_loss` when `mutual_weight` is above zero, but got None"),
        ({"ramp_up_epochs": math.inf}, "`ramp_up_epochs` to be finite and zero or more, but got"),
        ({"device": "cuda:77"}, "`device` to be one that torch can use here, but got 'cuda:77'"),
    ],
)
def test_rejects_what_a_later_stage_would_stumble_over(settings, message):
    with pytest.raises(ValueError, match=message):
        check(**settings)
