from __future__ import annotations

import math

import pytest
import sklearn.metrics
import torch
from monai.data import MetaTensor

from medkd.metrics import dice_in_mask, matthews_correlation_in_mask

BATCH = 2
SCORES = [dice_in_mask, matthews_correlation_in_mask]


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def maps(request):
    """Prediction, label (three classes) and mask."""
    generator = torch.Generator().manual_seed(7)
    shape = (BATCH, 1, *request.param)
    label = torch.randint(0, 3, shape, generator=generator)
    noise = torch.randint(0, 3, shape, generator=generator)
    pred_label = torch.where(torch.rand(shape, generator=generator) > 0.6, noise, label)
    return pred_label, label, torch.rand(shape, generator=generator) > 0.4


def reference(score, pred_label, label, mask, num_classes):
    """Mean over foreground classes of sklearn's binary score, case by case."""
    binary = {
        dice_in_mask: sklearn.metrics.f1_score,  # Dice is the F1 score
        matthews_correlation_in_mask: sklearn.metrics.matthews_corrcoef,
    }[score]
    values = []
    for case in range(BATCH):
        truth, found = label[case][mask[case]], pred_label[case][mask[case]]
        scores = [binary(truth == index, found == index) for index in range(1, num_classes)]
        values.append(sum(scores) / len(scores))
    return values


@pytest.mark.parametrize("score", SCORES)
class TestBoth:
    @pytest.mark.parametrize("num_classes", [2, 3])
    def test_matches_sklearn(self, score, maps, num_classes):
        pred_label, label, mask = maps[0].clamp_max(num_classes - 1), maps[1], maps[2]
        label = label.clamp_max(num_classes - 1)
        result = score(pred_label, label, num_classes=num_classes, mask=mask)
        expected = reference(score, pred_label, label, mask, num_classes)
        assert result.tolist() == pytest.approx(expected, rel=1e-6)

    def test_full_mask_is_no_mask(self, score, maps):
        pred_label, label, mask = maps
        assert torch.equal(
            score(pred_label, label, num_classes=3, mask=torch.ones_like(mask)),
            score(pred_label, label, num_classes=3),
        )

    def test_nothing_outside_the_mask_counts(self, score, maps):
        pred_label, label, mask = maps
        assert torch.equal(
            score(torch.where(mask, pred_label, 0), label, num_classes=3, mask=mask),
            score(torch.where(mask, pred_label, 2), label, num_classes=3, mask=mask),
        )

    def test_perfect_is_one(self, score, maps):
        _, label, mask = maps
        assert score(label, label, num_classes=3, mask=mask).tolist() == [1.0, 1.0]

    @pytest.mark.parametrize("found", [0, 1], ids=["nothing found", "something found"])
    def test_no_foreground_in_the_label_is_nan(self, score, found):
        empty = torch.zeros(1, 1, 4)
        pred_label = torch.tensor([[[0, 0, 0, found]]])
        assert score(pred_label, empty, num_classes=2).isnan().all()

    def test_label_found_nowhere_is_zero(self, score):
        label = torch.tensor([[[0, 0, 1, 1]]])
        assert score(torch.zeros_like(label), label, num_classes=2).item() == 0.0

    def test_class_absent_from_the_label_is_left_out(self, score):
        label = torch.tensor([[[0, 0, 1, 1]]])
        assert score(label, label, num_classes=4).item() == 1.0

    def test_empty_mask_is_nan(self, score, maps):
        pred_label, label, mask = maps
        mask[0] = False
        assert score(pred_label, label, num_classes=3, mask=mask).isnan().tolist() == [True, False]

    def test_meta_tensors_and_float_labels(self, score, maps):
        pred_label, label, mask = maps
        assert torch.equal(
            score(MetaTensor(pred_label), MetaTensor(label).float(), num_classes=3, mask=mask),
            score(pred_label, label, num_classes=3, mask=mask),
        )

    def test_leaves_inputs_untouched(self, score, maps):
        before = [tensor.clone() for tensor in maps]
        score(maps[0], maps[1], num_classes=3, mask=maps[2])
        for tensor, old in zip(maps, before, strict=True):
            assert torch.equal(tensor, old)

    def test_rejects_other_shape(self, score, maps):
        with pytest.raises(ValueError, match="`pred_label` of the shape of `label`"):
            score(maps[0][..., :-1], maps[1], num_classes=3)

    def test_rejects_mask_of_other_shape(self, score, maps):
        with pytest.raises(ValueError, match=r"`mask` of shape \(B, 1, \*spatial\)"):
            score(maps[0], maps[1], num_classes=3, mask=maps[2][..., :-1])


def test_dice_does_not_see_what_lies_outside_the_field_of_view():
    label = torch.tensor([[[1, 1, 0, 0]]])
    pred_label = torch.tensor([[[1, 0, 1, 1]]])
    mask = torch.tensor([[[True, True, False, False]]])
    assert dice_in_mask(pred_label, label, num_classes=2).item() == pytest.approx(2 / 5)
    inside = dice_in_mask(pred_label, label, num_classes=2, mask=mask).item()
    assert inside == pytest.approx(2 / 3)
    # Inside, the label is all vessel: there is no correlation to speak of.
    assert math.isnan(
        matthews_correlation_in_mask(pred_label, label, num_classes=2, mask=mask).item()
    )
