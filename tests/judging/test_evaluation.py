from __future__ import annotations

import math

import pytest
from monai.inferers import SimpleInferer, SlidingWindowInferer

from medkd.judging.case_scoring import score_case
from medkd.judging.evaluation import evaluate_cases
from medkd.judging.pooled_prediction import predict
from medkd.judging.prepared_case import prepare_case
from medkd.predictors import NetworkPredictor, single_networks
from medkd.reports import REGION_ENDINGS

CLASS_NAMES = ("background", "vessel")


def evaluate(items, members, student, inferer=None, temperatures=None):
    inferer = inferer or SimpleInferer()
    methods = {
        "single": single_networks(members, inferer),
        "deep_ensemble": [NetworkPredictor(members, inferer)],
        "student": [NetworkPredictor([student], inferer)],
    }
    return evaluate_cases(
        items,
        transform=dict,
        methods=methods,
        temperatures=temperatures or {},
        class_names=CLASS_NAMES,
        device="cpu",
    )


def test_known_predictions_have_known_scores(items, says):
    # Members right with 0.9 and 0.7, so the ensemble with 0.8; a student that is right with 0.6.
    results = evaluate(items, [says(0.9), says(0.7)], says(0.6))
    assert list(results) == ["single", "deep_ensemble", "student"]
    for case_id in ("eye_1", "eye_2"):
        single, ensemble, student = (r.scores[case_id] for r in results.values())
        assert single["dice"] == ensemble["dice"] == student["dice"] == 1.0
        assert single["ece"] == pytest.approx((0.1 + 0.3) / 2, rel=1e-5)
        assert ensemble["ece"] == pytest.approx(0.2, rel=1e-5)
        assert student["ece"] == pytest.approx(0.4, rel=1e-5)
        assert single["nll"] == pytest.approx(-(math.log(0.9) + math.log(0.7)) / 2, rel=1e-5)
        assert ensemble["nll"] == pytest.approx(-math.log(0.8), rel=1e-5)


def test_a_method_of_several_predictors_is_the_mean_of_their_scores(items, says):
    # One member is wrong everywhere: Dice 1 and 0.
    members = [says(0.9), says(0.2)]
    results = evaluate(items, members, says(0.6))
    case = prepare_case(items[1], dict, "cpu")
    scored = [
        score_case(predict(single, case.image), case, class_names=CLASS_NAMES).scores
        for single in single_networks(members, SimpleInferer())
    ]
    assert scored[0]["dice"] - scored[1]["dice"] == 1.0
    expected = {name: (scored[0][name] + scored[1][name]) / 2 for name in scored[0]}
    found = results["single"].scores["eye_2"]
    assert found == pytest.approx(expected, nan_ok=True)


def test_bins_are_pooled_over_members_and_cases(items, spatial, says):
    results = evaluate(items, [says(0.9), says(0.7)], says(0.6))
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
    errors = results["single"].errors["field of view"]
    assert (int(errors.right.sum()), int(errors.wrong.sum())) == (4 * pixels, 0)


def test_with_temperatures_is_what_the_predictor_with_a_temperature_says(items, says):
    # At a temperature of 2 the odds of 9 are 3.
    temperatures = {"single": [2.0, 1.0], "student": [2.0]}
    results = evaluate(items, [says(0.9), says(0.7)], says(0.9), temperatures=temperatures)
    assert list(results) == [
        "single",
        "single_temperature",
        "deep_ensemble",
        "student",
        "student_temperature",
    ]
    for case_id in ("eye_1", "eye_2"):
        assert results["student"].scores[case_id]["ece"] == pytest.approx(0.1, rel=1e-5)
        assert results["student_temperature"].scores[case_id]["ece"] == pytest.approx(0.25)
        single = results["single_temperature"].scores[case_id]["ece"]
        assert single == pytest.approx((0.25 + 0.3) / 2)
        seconds = [results[f"student{end}"].seconds[case_id] for end in ("", "_temperature")]
        assert seconds[0] < seconds[1]
    assert results["student_temperature"].cost == results["student"].cost


def test_every_method_has_its_cost(items, says):
    results = evaluate(items, [says(0.9), says(0.7)], says(0.6))
    for result in results.values():
        assert result.seconds.keys() == {"eye_1", "eye_2"}
        assert all(seconds > 0 for seconds in result.seconds.values())
        assert result.cost.multiply_adds == 0  # these networks only compare


def test_sliding_windows_change_nothing_of_a_pointwise_network(items, spatial, says):
    inferer = SlidingWindowInferer([5] * len(spatial), sw_batch_size=4, overlap=0.25)
    whole = evaluate(items, [says(0.9)], says(0.6))
    windows = evaluate(items, [says(0.9)], says(0.6), inferer)
    for name in whole:
        for case_id, scores in whole[name].scores.items():
            found = windows[name].scores[case_id]
            # Blending rounds, and which of two equal uncertainties is lower is rounding alone.
            close = {k: v for k, v in scores.items() if "auroc" not in k and "aurc" not in k}
            assert {k: found[k] for k in close} == pytest.approx(close, abs=1e-5, nan_ok=True)
