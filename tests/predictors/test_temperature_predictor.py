from __future__ import annotations

import pytest
import torch
from monai.bundle import ConfigParser
from monai.inferers import SimpleInferer
from torch import nn

from medkd.functional import tempered_probs
from medkd.predictors import NetworkPredictor, TemperaturePredictor


class AddTo(nn.Module):
    def __init__(self, amount):
        super().__init__()
        self.amount = amount

    def forward(self, window):
        return torch.cat([window[:, :1] + self.amount, window[:, 1:]], dim=1)


def ensemble(amounts=(0.0, 3.0)):
    return NetworkPredictor([AddTo(amount) for amount in amounts], SimpleInferer())


def test_is_the_pooled_prediction_at_a_temperature(image, spatial):
    probs = TemperaturePredictor(ensemble(), 1.7)(image)
    assert probs.shape == (1, 2, 2, *spatial)  # (M, B, C, *spatial)
    pooled = ensemble()(image).double().mean(dim=0)
    expected = torch.softmax(pooled.log() / 1.7, dim=1)
    torch.testing.assert_close(probs[0].double(), expected, rtol=1e-5, atol=1e-6)
    tempered = tempered_probs(ensemble()(image).mean(dim=0), temperature=1.7)
    torch.testing.assert_close(probs[0], tempered)
    (only,) = TemperaturePredictor(ensemble(), 1.7).predict_members(image)
    assert torch.equal(only, probs[0])


def test_of_one_network_is_its_logits_divided(image):
    probs = TemperaturePredictor(ensemble([3.0]), 2)(image)
    expected = torch.softmax(AddTo(3.0)(image) / 2, dim=1)
    torch.testing.assert_close(probs[0], expected)


def test_one_changes_nothing_and_much_makes_undecided(image):
    pooled = ensemble()(image).mean(dim=0)
    torch.testing.assert_close(TemperaturePredictor(ensemble(), 1)(image)[0], pooled)
    undecided = TemperaturePredictor(ensemble(), 1e6)(image)
    torch.testing.assert_close(undecided, torch.full_like(undecided, 0.5), rtol=0, atol=1e-4)


def test_contradicting_members_stay_undecided():
    predictor = TemperaturePredictor(ensemble([100.0, -100.0]), 0.1)
    probs = predictor(torch.zeros(1, 2, 3, 4))
    torch.testing.assert_close(probs, torch.full_like(probs, 0.5))


def test_costs_what_the_predictor_costs():
    predictor = TemperaturePredictor(NetworkPredictor([nn.Conv2d(1, 2, 1)], SimpleInferer()), 2.0)
    assert (predictor.num_parameters, predictor.num_passes) == (4, 1)


def test_is_made_from_json():
    network = {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": 1}
    predictor = {
        "_target_": "medkd.predictors.TemperaturePredictor",
        "predictor": {
            "_target_": "medkd.predictors.NetworkPredictor",
            "members": [network, network],
            "inferer": {"_target_": "SimpleInferer"},
        },
        "temperature": 1.3,
    }
    made = ConfigParser({"predictor": predictor}).get_parsed_content("predictor")
    assert made(torch.zeros(1, 1, 4, 5)).shape == (1, 1, 2, 4, 5)


def test_rejects_a_temperature_of_zero():
    with pytest.raises(ValueError, match="`temperature` to be finite and above zero, but got 0"):
        TemperaturePredictor(ensemble(), 0)
