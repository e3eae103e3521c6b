from __future__ import annotations

import math

import pytest
import torch

from medkd.reports import REGION_ENDINGS
from medkd.workflows.case_scoring import BAND_RADIUS, score_case

METRICS = {
    "dice",
    "mcc",
    *(f"{m}{end}" for m in ("ece", "brier", "nll") for end in REGION_ENDINGS.values()),
}


@pytest.fixture(params=[(24, 17), (20, 9, 11)], ids=["2d", "3d"])
def spatial(request):
    return request.param


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
    scores, _ = score_case(probs_of(label, 1.0), label, mask)
    assert scores.keys() == METRICS
    assert (scores.pop("dice"), scores.pop("mcc")) == (1.0, 1.0)
    assert set(scores.values()) == {0.0}


def test_right_with_a_confidence_of_four_fifths(case):
    label, mask = case
    scores, _ = score_case(probs_of(label, 0.8), label, mask)
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
    scores, _ = score_case(probs_of(1 - label, 0.9), label, mask)
    assert scores["dice"] == 0.0
    assert scores["mcc"] == pytest.approx(-1.0)
    assert scores["ece"] == pytest.approx(0.9)
    assert scores["nll"] == pytest.approx(-math.log(0.1))


def test_regions_differ_where_they_should(case):
    label, mask = case
    confidence = torch.ones(label.shape, dtype=torch.float64)
    confidence[..., -1] = 0.25  # out of view: counts nowhere
    scores, _ = score_case(probs_of(label, confidence), label, mask)
    assert (scores["ece"], scores["ece_band"], scores["nll_all"]) == (0.0, 0.0, 0.0)
    confidence = torch.ones(label.shape, dtype=torch.float64)
    confidence[:, :, 8 + BAND_RADIUS + 1 :] = 0.75  # far from the edge: does not count in the band
    scores, _ = score_case(probs_of(label, confidence), label, mask)
    assert scores["ece_band"] == 0.0
    assert scores["ece"] > 0


def test_bins_count_the_pixels_of_their_region(case):
    label, mask = case
    _, bins = score_case(probs_of(label, 0.8), label, mask)
    assert bins.keys() == REGION_ENDINGS.keys()
    counts = {region: int(b.count.sum()) for region, b in bins.items()}
    assert counts["field of view"] == int(mask.sum())
    assert counts["all pixels"] == label.numel()
    assert 0 < counts["band"] < counts["field of view"]


def test_a_case_without_foreground_has_no_band(case):
    label, mask = case
    label = torch.zeros_like(label)
    scores, bins = score_case(probs_of(label, 0.8), label, mask)
    assert math.isnan(scores["ece_band"])
    assert int(bins["band"].count.sum()) == 0
    assert scores["ece"] == pytest.approx(0.2)
