"""Noothout's loss: a loop over voxels, its extremes, and a step of its training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser

from medkd.losses import DistillationMSELoss
from medkd.trainers import DistillationTrainer

BUNDLE = Path(__file__).parents[2] / "bundles" / "kd_uniform"


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def batch(request):
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 3, *request.param, generator=generator)
    probs = torch.randn(2, 3, *request.param, generator=generator).mul(3).softmax(dim=1)
    return logits, probs


def test_matches_a_loop_over_voxels(batch):
    logits, probs = (tensor.double().flatten(2).numpy() for tensor in batch)
    squares = []
    for case in range(2):
        for voxel in range(logits.shape[2]):
            powers = np.exp(logits[case, :, voxel])
            student = powers / powers.sum()
            squares.append(((student - probs[case, :, voxel]) ** 2).sum())
    assert DistillationMSELoss()(*batch).item() == pytest.approx(np.mean(squares), rel=1e-5)


def test_is_zero_where_both_agree_and_two_where_they_contradict(batch):
    logits, _ = batch
    assert DistillationMSELoss()(logits, logits.softmax(dim=1)).item() == 0
    certain = torch.tensor([80.0, -80.0]).view(1, 2, 1)
    assert DistillationMSELoss()(certain, certain.flip(1).softmax(dim=1)).item() == 2


def test_one_channel_is_the_foreground_of_two_classes(batch):
    logit, foreground = (tensor[:, :1] for tensor in batch)
    both = torch.cat([torch.zeros_like(logit), logit], dim=1)
    of_two = DistillationMSELoss()(both, torch.cat([1 - foreground, foreground], dim=1))
    torch.testing.assert_close(DistillationMSELoss()(logit, foreground), of_two)


def test_moves_the_student_and_not_the_teacher(batch):
    logits, probs = (tensor.clone().requires_grad_() for tensor in batch)
    DistillationMSELoss()(logits, probs).backward()
    assert probs.grad is None
    assert logits.grad.abs().max() > 0
    torch.testing.assert_close(logits.detach(), batch[0])


def test_rejects_another_shape(batch):
    logits, probs = batch
    with pytest.raises(ValueError, match="`teacher_probs` of the shape of `student_logits`"):
        DistillationMSELoss()(logits, probs[:, :2])


def test_the_overlay_trains_on_it_and_a_tenth_of_the_cross_entropy():
    """Up to the factor 1 / 1.1, which Adam does not see."""
    parser = ConfigParser(json.loads((BUNDLE / "train.json").read_text()))
    parser.update(json.loads((BUNDLE / "squared_difference.json").read_text()))
    assert parser.get_parsed_content("distillation_temperature") == 1
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 5, 4, 3, 6, generator=generator)
    probs = torch.randn(2, 5, 4, 3, 6, generator=generator).softmax(dim=1)
    label = torch.randint(5, (2, 1, 4, 3, 6), generator=generator)
    parts = {
        "label": parser.get_parsed_content("label_loss")(logits, label),
        "distillation": parser.get_parsed_content("distillation_loss")(logits, probs),
    }
    trainer = DistillationTrainer.__new__(DistillationTrainer)
    trainer.distillation_weight = parser.get_parsed_content("distillation_weight")
    cross_entropy = torch.nn.functional.cross_entropy(logits, label[:, 0])
    expected = DistillationMSELoss()(logits, probs) + 0.1 * cross_entropy
    torch.testing.assert_close(1.1 * trainer._weighted(parts), expected)
