from __future__ import annotations

import pytest
import torch
from monai.metrics import compute_dice, compute_iou
from monai.networks.utils import one_hot

from medkd.functional import confusion_counts
from medkd.metrics import dice_by_class, jaccard_by_class, volume_error_by_class

SCORES = [dice_by_class, jaccard_by_class, volume_error_by_class]


@pytest.fixture
def maps():
    generator = torch.Generator().manual_seed(1)
    label = torch.randint(0, 4, (3, 1, 6, 5, 4), generator=generator)
    pred_label = torch.randint(0, 4, label.shape, generator=generator)
    label[1][label[1] == 2] = 0  # the second case has no such voxel
    pred_label[2][pred_label[2] == 3] = 1  # and of the third one class is not found
    return pred_label, label


def test_dice_matches_monai(maps):
    counts = confusion_counts(*maps, num_classes=4)
    expected = compute_dice(*maps, include_background=True, num_classes=4)
    torch.testing.assert_close(dice_by_class(counts).float(), expected, equal_nan=True)


def test_jaccard_matches_monai(maps):
    counts = confusion_counts(*maps, num_classes=4)
    expected = compute_iou(*(one_hot(each, 4) for each in maps), include_background=True)
    torch.testing.assert_close(jaccard_by_class(counts).float(), expected, equal_nan=True)


def test_volume_error_matches_counted_voxels(maps):
    pred_label, label = maps
    found = volume_error_by_class(confusion_counts(*maps, num_classes=4))
    assert found.shape == (3, 4)
    for case in range(3):
        for index in range(4):
            volume = int((label[case] == index).sum())
            error = abs(int((pred_label[case] == index).sum()) - volume)
            if volume:
                assert found[case, index].item() == error / volume
            else:
                assert found[case, index].isnan()
    assert found[2, 3].item() == 1.0


def test_nothing_found_and_nothing_there():
    counts = torch.tensor([[[5, 2, 0], [3, 0, 0], [0, 0, 0]]])
    assert dice_by_class(counts)[0, 1].item() == jaccard_by_class(counts)[0, 1].item() == 0.0
    assert volume_error_by_class(counts)[0, 1].item() == pytest.approx(1 / 3)
    assert all(score(counts)[0, 2].isnan() for score in SCORES)


@pytest.mark.parametrize("score", SCORES)
def test_rejects_counts_of_another_kind(score):
    with pytest.raises(TypeError, match=r"`counts` of dtype torch.int64, but got torch.float32"):
        score(torch.ones(1, 2, 2))
    with pytest.raises(ValueError, match=r"`counts` of shape \(B, C, C\), but got shape \(2, 2\)"):
        score(torch.ones(2, 2, dtype=torch.int64))
