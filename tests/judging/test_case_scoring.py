from __future__ import annotations

import math

import pytest
import torch

from medkd.functional import entropy
from medkd.judging.case_scoring import score_case
from medkd.judging.pooled_prediction import Prediction
from medkd.judging.prepared_case import BAND_RADIUS, PreparedCase
from medkd.reports import REGION_ENDINGS, class_ending

PERFECT = {
    *(f"{m}{end}" for m in ("ece", "brier", "nll") for end in REGION_ENDINGS.values()),
    *("mce", "ace", "classwise_ece", "rms_calibration_error"),
    *("brier_calibration", "brier_refinement", "aurc", "excess_aurc", "mean_predictive_entropy"),
}
NAMES = ("background", "vessel")


def score(probs, label, mask, second_label=None, member_entropy=None, names=NAMES):
    """Scores and reliability of one prediction; several members if their entropy is given."""
    alone = member_entropy is None
    prediction = Prediction(
        probs=probs,
        expected_entropy=entropy(probs) if alone else member_entropy,
        num_members=1 if alone else 2,
        seconds=1.0,
    )
    case = PreparedCase("eye", probs, label, mask, second_label)
    scored = score_case(prediction, case, class_names=names)
    return scored.scores, scored.reliability


@pytest.fixture
def case(spatial):
    """A label with an edge at 8 of the first axis; a field of view without the last plane."""
    label = torch.zeros(1, 1, *spatial, dtype=torch.long)
    label[:, :, :8] = 1
    mask = torch.ones(1, 1, *spatial, dtype=torch.bool)
    mask[..., -1] = False
    return label, mask


def probs_of(label, confidence):
    """Right everywhere, with this confidence (a number, or one for each voxel)."""
    right = torch.as_tensor(confidence).expand(label.shape).double()
    foreground = torch.where(label == 1, right, 1 - right)
    return torch.cat([1 - foreground, foreground], dim=1)


def test_certain_and_right_is_perfect(case):
    label, mask = case
    scores, _ = score(probs_of(label, 1.0), label, mask)
    assert [scores.pop(name) for name in ("dice", "jaccard", "mcc")] == [1.0] * 3
    assert math.isnan(scores.pop("error_auroc"))  # there is no error to find
    assert scores == dict.fromkeys(PERFECT, 0.0)


def test_a_class_may_be_called_as_a_region_is(case, spatial):
    """Its ECE took the place of that of the band, or of all pixels."""
    label, mask = case
    probs = torch.rand(1, 5, *spatial, generator=torch.Generator().manual_seed(0)).softmax(dim=1)
    plain, _ = score(probs, label, mask, names=("background", "a", "b", "c", "d"))
    names = ("background", "band", "all", "class_band", "class_class_all")
    named, _ = score(probs, label, mask, names=names)
    for one, other in zip("abcd", names[1:], strict=True):
        assert named[f"ece{class_ending(other)}"] == plain[f"ece_{one}"]
        assert f"dice{class_ending(other)}" in named
    assert named["ece_band"] == plain["ece_band"]
    assert named["ece_all"] == plain["ece_all"]
    assert len(named) == len(plain)


def test_right_with_a_confidence_of_four_fifths(case):
    label, mask = case
    scores, _ = score(probs_of(label, 0.8), label, mask)
    assert (scores["dice"], scores["mcc"]) == (1.0, 1.0)
    # What is out of view is certain, and right.
    shares = {"": 1.0, "_band": 1.0, "_all": mask.double().mean().item()}
    assert shares.keys() == set(REGION_ENDINGS.values())
    for ending, share in shares.items():
        assert scores[f"ece{ending}"] == pytest.approx(share * 0.2)
        assert scores[f"brier{ending}"] == pytest.approx(share * 2 * 0.2**2)
        assert scores[f"nll{ending}"] == pytest.approx(share * -math.log(0.8))


def test_certain_and_wrong_everywhere(case):
    label, mask = case
    scores, _ = score(probs_of(1 - label, 0.9), label, mask)
    assert scores["dice"] == 0.0
    assert scores["mcc"] == pytest.approx(-1.0)
    assert scores["ece"] == pytest.approx(0.9)
    assert scores["nll"] == pytest.approx(-math.log(0.1))


def test_regions_differ_where_they_should(case):
    label, mask = case
    confidence = torch.ones(label.shape, dtype=torch.float64)
    confidence[..., -1] = 0.25  # out of view: counts nowhere
    scores, _ = score(probs_of(label, confidence), label, mask)
    assert (scores["ece"], scores["ece_band"], scores["nll_all"]) == (0.0, 0.0, 0.0)
    confidence = torch.ones(label.shape, dtype=torch.float64)
    confidence[:, :, 8 + BAND_RADIUS + 1 :] = 0.75  # far from the edge: does not count in the band
    scores, _ = score(probs_of(label, confidence), label, mask)
    assert scores["ece_band"] == 0.0
    assert scores["ece"] > 0


def test_bins_count_the_pixels_of_their_region(case):
    label, mask = case
    _, bins = score(probs_of(label, 0.8), label, mask)
    assert bins.keys() == REGION_ENDINGS.keys()
    counts = {region: int(b.count.sum()) for region, b in bins.items()}
    assert counts["field of view"] == int(mask.sum())
    assert counts["all pixels"] == label.numel()
    assert 0 < counts["band"] < counts["field of view"]


def test_a_case_without_foreground_has_no_band(case):
    label, mask = case
    label = torch.zeros_like(label)
    scores, bins = score(probs_of(label, 0.8), label, mask)
    assert math.isnan(scores["ece_band"])
    assert int(bins["band"].count.sum()) == 0
    assert scores["ece"] == pytest.approx(0.2)


def test_uncertainty_that_marks_the_errors_ranks_perfectly(case):
    label, mask = case
    confidence = torch.full(label.shape, 0.95, dtype=torch.float64)
    confidence[:, :, :2] = 0.4  # wrong there, and unsure
    scores, _ = score(probs_of(label, confidence), label, mask)
    assert scores["error_auroc"] == 1.0
    assert scores["excess_aurc"] == pytest.approx(0.0, abs=1e-12)
    assert scores["aurc"] > 0
    assert "error_auroc_mutual_information" not in scores


def test_members_that_contradict_each_other_where_they_err_are_found_out(case):
    label, mask = case
    wrong = torch.zeros(label.shape, dtype=torch.bool)
    wrong[:, :, :2] = True
    probs = probs_of(label, torch.where(wrong, 0.4, 0.95))
    # Certain members make up an unsure mean; elsewhere they agree.
    member_entropy = torch.where(wrong, 0.0, entropy(probs))
    scores, _ = score(probs, label, mask, member_entropy=member_entropy)
    assert scores["error_auroc_mutual_information"] == 1.0
    total = scores["mean_predictive_entropy"]
    parts = scores["mean_expected_entropy"] + scores["mean_mutual_information"]
    assert total == pytest.approx(parts)
    share = (wrong & mask).sum().item() / mask.sum().item()
    h = -0.4 * math.log(0.4) - 0.6 * math.log(0.6)
    assert scores["mean_mutual_information"] == pytest.approx(share * h)


def test_uncertainty_is_held_against_the_second_observer(case):
    label, mask = case
    confidence = torch.full(label.shape, 1.0, dtype=torch.float64)
    confidence[:, :, 5:8] = 0.6
    second = label.clone()
    second[:, :, 5:8] = 0  # the observers disagree where the network is unsure
    scores, _ = score(probs_of(label, confidence), label, mask, second_label=second)
    assert scores["disagreement_correlation"] == pytest.approx(1.0)
    assert scores["disagreement_auroc"] == 1.0


def test_each_class_has_its_scores_where_there_are_several(case):
    label, mask = case
    label = label.clone()
    label[:, :, 12:] = 2
    probs = torch.zeros(1, 3, *label.shape[2:], dtype=torch.float64).scatter_(1, label, 1.0)
    probs[:, :, 12:] = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, *([1] * (label.dim() - 2)))
    scores, _ = score(probs, label, mask, names=("background", "vein", "artery"))
    assert (scores["dice_vein"], scores["dice_artery"]) == (1.0, 0.0)
    assert scores["ece_vein"] == 0.0
    assert scores["ece_artery"] > 0.3
    assert scores["dice"] == pytest.approx(0.5)
