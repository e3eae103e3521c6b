from __future__ import annotations

import pytest
from monai.inferers import SimpleInferer
from torch import nn

from medkd.judging.methods import predictors_by_method
from medkd.predictors import NetworkPredictor


@pytest.fixture
def predictor():
    return NetworkPredictor([nn.Identity()], SimpleInferer())


def test_one_predictor_is_a_list_of_one(predictor):
    table = predictors_by_method({"many": [predictor] * 3, "off": None, "one": predictor})
    assert list(table) == ["many", "one"]
    assert [len(alike) for alike in table.values()] == [3, 1]


@pytest.mark.parametrize(
    ("section", "error", "message"),
    [
        ({"a": None}, ValueError, "Expected `predictors` to hold at least one, but got none"),
        ({"a": []}, ValueError, "Expected `predictors::a` to hold a predictor, but got none"),
        ({"a": 3}, TypeError, "Expected `predictors::a` to be a predictor of .* but got int"),
    ],
    ids=["all-off", "empty", "no-predictor"],
)
def test_rejects_what_cannot_predict(section, error, message):
    with pytest.raises(error, match=message):
        predictors_by_method(section)
