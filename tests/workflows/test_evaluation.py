from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch import nn

from medkd.predictors import NetworkPredictor
from medkd.reports import REGION_ENDINGS
from medkd.workflows.case_scoring import score_case
from medkd.workflows.evaluation import evaluate_cases, predict_case, prepare_case


class Says(nn.Module):
    """Gives the pixels whose image value is above its threshold this probability of class 1."""

    def __init__(self, prob, threshold=0.5):
        super().__init__()
        self.prob, self.threshold = prob, threshold
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        prob = torch.where(image > self.threshold, self.prob, 1 - self.prob)
        return torch.cat([1 - prob, prob], dim=1).log()


@pytest.fixture(params=[(24, 17), (20, 9, 11)], ids=["2d", "3d"])
def spatial(request):
    return request.param


@pytest.fixture
def items(spatial):
    """Two cases whose image is their label, one with more of it than the other."""
    found = []
    for case_id, width in (("eye_1", 6), ("eye_2", 9)):
        label = torch.zeros(1, *spatial)
        label[:, :width] = 1
        found.append(
            {
                "case_id": case_id,
                "image": MetaTensor(label),
                "label": label.byte(),
                "mask": label >= 0,
            }
        )
    return found


def predictor(*networks):
    return NetworkPredictor(networks, SimpleInferer())


def evaluate(items, members, student):
    return evaluate_cases(items, transform=dict, members=members, student=student, device="cpu")


def test_prepared_case_is_of_plain_tensors(items, spatial):
    case = prepare_case(items[0], dict, "cpu")
    assert case.case_id == "eye_1"
    for tensor in (case.image, case.label, case.mask):
        assert type(tensor) is torch.Tensor
        assert tensor.shape == (1, 1, *spatial)
    assert (case.label.dtype, case.mask.dtype) == (torch.int64, torch.bool)


def test_known_predictions_have_known_scores(items):
    # Members right with 0.9 and 0.7, so the ensemble with 0.8; a student that is right with 0.6.
    results = evaluate(items, predictor(Says(0.9), Says(0.7)), predictor(Says(0.6)))
    assert list(results) == ["single", "deep_ensemble", "student"]
    for case_id in ("eye_1", "eye_2"):
        single, ensemble, student = (r.scores[case_id] for r in results.values())
        assert single["dice"] == ensemble["dice"] == student["dice"] == 1.0
        assert single["ece"] == pytest.approx((0.1 + 0.3) / 2, rel=1e-5)
        assert ensemble["ece"] == pytest.approx(0.2, rel=1e-5)
        assert student["ece"] == pytest.approx(0.4, rel=1e-5)
        assert single["nll"] == pytest.approx(-(math.log(0.9) + math.log(0.7)) / 2, rel=1e-5)
        assert ensemble["nll"] == pytest.approx(-math.log(0.8), rel=1e-5)


def test_single_is_the_mean_of_the_members_scores(items):
    # One member is wrong everywhere: Dice 1 and 0.
    members = predictor(Says(0.9), Says(0.2))
    results = evaluate(items, members, predictor(Says(0.6)))
    case = prepare_case(items[1], dict, "cpu")
    scored = [
        score_case(members.predict_member(m, case.image), case.label, case.mask)[0] for m in (0, 1)
    ]
    assert scored[0]["dice"] - scored[1]["dice"] == 1.0
    expected = {name: (scored[0][name] + scored[1][name]) / 2 for name in scored[0]}
    assert results["single"].scores["eye_2"] == pytest.approx(expected)


def test_reliability_is_pooled_over_members_and_cases(items, spatial):
    results = evaluate(items, predictor(Says(0.9), Says(0.7)), predictor(Says(0.6)))
    pixels = math.prod(spatial)
    counts = {
        name: int(result.reliability["field of view"].count.sum())
        for name, result in results.items()
    }
    assert counts == {"single": 4 * pixels, "deep_ensemble": 2 * pixels, "student": 2 * pixels}
    bins = results["single"].reliability["all pixels"]
    assert bins.confidence_sum.sum().item() == pytest.approx(2 * (0.9 + 0.7) * pixels, rel=1e-5)
    assert int(bins.correct.sum()) == 4 * pixels
    assert all(result.reliability.keys() == REGION_ENDINGS.keys() for result in results.values())


def test_ensemble_takes_the_time_of_its_members(items, monkeypatch):
    # Every look at the clock is a second later than the one before.
    ticks = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    case = prepare_case(items[0], dict, "cpu")
    predictions, student_probs, seconds = predict_case(
        case, predictor(*[Says(0.9)] * 3), predictor(Says(0.6))
    )
    assert seconds == {"single": 1.0, "deep_ensemble": 3.0, "student": 1.0}
    assert len(predictions) == 3
    assert student_probs.shape == predictions[0].shape


def test_the_first_case_is_predicted_once_more_to_warm_up(items):
    member, student = Says(0.9), Says(0.6)
    results = evaluate(items, predictor(member), predictor(student))
    assert (member.calls, student.calls) == (3, 3)
    assert results["student"].seconds.keys() == {"eye_1", "eye_2"}
    assert all(seconds > 0 for seconds in results["student"].seconds.values())


def test_sliding_windows_change_nothing_of_a_pointwise_network(items, spatial):
    inferer = SlidingWindowInferer([5] * len(spatial), sw_batch_size=4, overlap=0.25)
    whole = evaluate(items, predictor(Says(0.9)), predictor(Says(0.6)))
    windows = evaluate(
        items, NetworkPredictor([Says(0.9)], inferer), NetworkPredictor([Says(0.6)], inferer)
    )
    for name in whole:
        for case_id, scores in whole[name].scores.items():
            assert windows[name].scores[case_id] == pytest.approx(scores, abs=1e-5)
