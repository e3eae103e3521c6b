from __future__ import annotations

import math

import pytest
import torch

from medkd.functional import entropy
from medkd.judging.case_scoring import score_case
from medkd.judging.pooled_prediction import Prediction
from medkd.judging.prepared_case import PreparedCase
from medkd.judging.structure_scoring import structure_scores
from medkd.metrics import dice_in_mask, matthews_correlation_in_mask, surface_distances
from medkd.reports import WHOLE_IMAGE_ENDINGS

NAMES = ("background", "liver", "spleen", "gut")
SPACING = (1.0, 1.5, 3.0)
GEOMETRY = ("hd95", "asd", "volume_error", "missed")


@pytest.fixture
def label():
    """Two structures; there is no gut."""
    label = torch.zeros(1, 1, 14, 11, 8, dtype=torch.long)
    label[..., 2:9, 2:8, 2:6] = 1
    label[..., 9:12, 3:6, 2:5] = 2
    return label


def case_of(label, mask=None, spacing=SPACING):
    return PreparedCase("scan", label.float(), label, mask, None, spacing)


@pytest.mark.parametrize("has_mask", [False, True], ids=["whole", "mask"])
def test_overlap_is_what_monai_says(label, has_mask):
    generator = torch.Generator().manual_seed(0)
    pred_label = torch.randint(0, 4, label.shape, generator=generator)
    mask = torch.rand(label.shape, generator=generator) > 0.3 if has_mask else None
    found = structure_scores(pred_label, case_of(label, mask, None), class_names=NAMES)
    dice = dice_in_mask(pred_label, label, num_classes=4, mask=mask).item()
    mcc = matthews_correlation_in_mask(pred_label, label, num_classes=4, mask=mask).item()
    assert found["dice"] == pytest.approx(dice)
    assert found["jaccard_spleen"] == pytest.approx(
        found["dice_spleen"] / (2 - found["dice_spleen"])
    )
    assert found["mcc"] == pytest.approx(mcc)
    single = dice_in_mask((pred_label == 2).long(), (label == 2).long(), num_classes=2, mask=mask)
    assert found["dice_spleen"] == pytest.approx(single.item())
    assert not any(name.startswith(GEOMETRY) for name in found)


def test_geometry_is_in_millimeters_for_each_structure(label):
    pred_label = label.roll(1, 4)
    found = structure_scores(pred_label, case_of(label), class_names=NAMES)
    expected = surface_distances(pred_label, label, num_classes=4, spacing=SPACING)
    for index, name in enumerate(NAMES[1:3]):
        assert found[f"hd95_{name}"] == expected.hausdorff_95[0, index].item() == 3.0
        assert found[f"asd_{name}"] == expected.average[0, index].item()
        assert found[f"volume_error_{name}"] == found[f"missed_{name}"] == 0.0
    assert found["hd95"] == 3.0
    assert found["asd"] == pytest.approx((found["asd_liver"] + found["asd_spleen"]) / 2)


def test_what_is_missed_costs_and_is_counted(label):
    pred_label = torch.where(label == 2, 0, label)
    found = structure_scores(pred_label, case_of(label), class_names=NAMES)
    diagonal = math.hypot(14 * 1.0, 11 * 1.5, 8 * 3.0)
    assert found["hd95_spleen"] == found["asd_spleen"] == pytest.approx(diagonal)
    assert found["hd95"] == pytest.approx(diagonal / 2)
    assert (found["missed_spleen"], found["missed_liver"], found["missed"]) == (1.0, 0.0, 0.5)
    assert found["volume_error_spleen"] == 1.0


def test_what_the_label_does_not_have_is_left_out(label):
    pred_label = label.clone()
    pred_label[..., 0, 0, 0] = 3
    found = structure_scores(pred_label, case_of(label), class_names=NAMES)
    assert all(math.isnan(found[f"{metric}_gut"]) for metric in ("dice", "jaccard", *GEOMETRY))
    assert (found["dice"], found["hd95"], found["missed"]) == (1.0, 0.0, 0.0)


def test_one_structure_has_no_scores_of_its_own(label):
    found = structure_scores(label.clamp(max=1), case_of(label.clamp(max=1)), class_names=NAMES[:2])
    assert found.keys() == {"dice", "jaccard", "mcc", *GEOMETRY}


def test_a_case_without_a_mask_is_judged_as_a_whole(label):
    probs = torch.full((1, 4, *label.shape[2:]), 0.1, dtype=torch.float64)
    probs.scatter_(1, label, 0.7)
    prediction = Prediction(probs, entropy(probs), 1, 1.0)
    whole = score_case(prediction, case_of(label), class_names=NAMES)
    assert whole.reliability.keys() == WHOLE_IMAGE_ENDINGS.keys()
    assert whole.errors.keys() == {"whole image"}
    assert "ece_all" not in whole.scores
    assert int(whole.reliability["whole image"].count.sum()) == label.numel()
    # A mask of everything changes nothing of what both have.
    full = score_case(prediction, case_of(label, label >= 0), class_names=NAMES)
    assert whole.scores == pytest.approx(
        {name: full.scores[name] for name in whole.scores}, nan_ok=True
    )
