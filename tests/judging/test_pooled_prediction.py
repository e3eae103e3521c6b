from __future__ import annotations

import pytest
import torch
from monai.inferers import SimpleInferer

from medkd.functional import entropy, expected_entropy
from medkd.judging.pooled_prediction import predict, tempered
from medkd.predictors import NetworkPredictor, TemperaturePredictor


@pytest.fixture
def image(spatial):
    return torch.rand((1, 1, *spatial), generator=torch.Generator().manual_seed(0))


def test_pools_what_the_members_say(says, image):
    predictor = NetworkPredictor([says(0.9), says(0.6), says(0.3, 0.2)], SimpleInferer())
    member_probs = predictor(image)
    prediction = predict(predictor, image)
    assert prediction.num_members == 3
    torch.testing.assert_close(prediction.probs, member_probs.mean(dim=0))
    torch.testing.assert_close(prediction.expected_entropy, expected_entropy(member_probs))


def test_of_one_member_is_what_it_says(says, image):
    predictor = NetworkPredictor([says(0.9)], SimpleInferer())
    prediction = predict(predictor, image)
    assert torch.equal(prediction.probs, predictor(image)[0])
    torch.testing.assert_close(prediction.expected_entropy, entropy(prediction.probs))


def test_tempered_is_what_the_predictor_with_a_temperature_says(says, image):
    ensemble = NetworkPredictor([says(0.9), says(0.6)], SimpleInferer())
    prediction = predict(ensemble, image)
    before = prediction.probs.clone()
    found = tempered(prediction, 1.7)
    expected = predict(TemperaturePredictor(ensemble, 1.7), image)
    torch.testing.assert_close(found.probs, expected.probs)
    torch.testing.assert_close(found.expected_entropy, expected.expected_entropy)
    assert found.num_members == expected.num_members == 1
    assert torch.equal(prediction.probs, before)


def test_takes_the_time_of_its_members_alone(says, image, monkeypatch):
    # Every look at the clock is a second later than the one before, and pooling takes an hour.
    clock = [0.0]

    def now():
        clock[0] += 1.0
        return clock[0]

    def slow_entropy(probs):
        clock[0] += 3600.0
        return entropy(probs)

    monkeypatch.setattr("time.perf_counter", now)
    monkeypatch.setattr("medkd.judging.pooled_prediction.entropy", slow_entropy)
    prediction = predict(NetworkPredictor([says(0.9)] * 3, SimpleInferer()), image)
    assert prediction.seconds == 4.0  # three members, and finding that there is no fourth


def test_rejects_a_predictor_without_members(image):
    class Nobody:
        def predict_members(self, _):
            return iter(())

    with pytest.raises(RuntimeError, match="Expected Nobody to have a member, but got none"):
        predict(Nobody(), image)
