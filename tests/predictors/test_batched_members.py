from __future__ import annotations

import copy

import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer
from monai.networks.nets import BasicUNet
from torch import nn

from medkd.predictors import NetworkPredictor, network_predictor
from medkd.predictors.batched_members import batch_members, have_one_architecture, is_faster


def unet(spatial, seed, **settings):
    torch.manual_seed(seed)
    features = (4, 4, 4, 4, 4, 4)
    network = BasicUNet(len(spatial), 2, 3, features, norm="batch", **{"dropout": 0.2, **settings})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return network.eval()


class Scale(nn.Module):
    """Its setting is no part of its weights, nor of its name."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, window):
        return window * self.factor


class LooksAtValues(nn.Conv2d):
    """Cannot be batched, for what it does depends on a value."""

    def forward(self, window):
        logits = super().forward(window)
        return logits if logits.sum() > 0 else -logits


@pytest.mark.parametrize("amp", [False, True])
def test_equals_the_members_one_by_one(spatial, image, amp):
    members = [unet(spatial, seed) for seed in range(3)]
    inferer = SlidingWindowInferer([16] * len(spatial), sw_batch_size=3, overlap=0.5)
    before = [copy.deepcopy(member.state_dict()) for member in members]
    expected = NetworkPredictor(members, inferer, amp=amp)(image)
    probs = NetworkPredictor(members, inferer, amp=amp, batched=True)(image)
    # Under autocast one of the two computes in bfloat16, of 8 bits.
    torch.testing.assert_close(probs, expected, rtol=0, atol=0.02 if amp else 2e-6)
    assert not probs.requires_grad
    assert not torch.equal(probs[0], probs[1])
    for member, state in zip(members, before, strict=True):
        assert all(torch.equal(value, state[name]) for name, value in member.state_dict().items())


def test_each_member_sees_the_window():
    members = [nn.Conv2d(1, 2, 1).requires_grad_(requires_grad=False) for _ in range(2)]
    for number, member in enumerate(members):
        nn.init.constant_(member.weight, number + 1)
        nn.init.zeros_(member.bias)
    logits = batch_members(members)(torch.full((1, 1, 2, 3), 5.0))
    assert logits.flatten(1).unique(dim=1).flatten().tolist() == [5.0, 10.0]


def test_weights_that_are_loaded_later_are_seen(spatial, image):
    members = [unet(spatial, seed) for seed in (0, 1)]
    predictor = NetworkPredictor(members, SlidingWindowInferer([16] * len(spatial)), batched=True)
    members[0].load_state_dict(members[1].state_dict())
    probs = predictor(image)
    torch.testing.assert_close(probs[0], probs[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (nn.Conv2d(2, 3, 3), nn.Conv2d(2, 4, 3)),
        (nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, 3, padding=1)),
        (nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1).double()),
        (nn.Conv2d(2, 3, 1), nn.Linear(2, 3)),
        (Scale(1.0), Scale(2.0)),
        (nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.Identity())),
    ],
)
def test_other_settings_are_another_architecture(one, other):
    assert have_one_architecture([one, copy.deepcopy(one), one])
    assert not have_one_architecture([one, one, other])


@pytest.mark.parametrize("setting", [torch.ones(2), lambda window: window])
def test_settings_that_cannot_be_compared_count_as_different(setting):
    others = [torch.ones(2), lambda window: window]
    assert not any(have_one_architecture([Scale(setting), Scale(other)]) for other in others)


def test_automatic_runs_other_architectures_one_by_one(image, spatial):
    members = [unet(spatial, 0), unet(spatial, 0, act="relu")]
    inferer = SlidingWindowInferer([16] * len(spatial))
    predictor = NetworkPredictor(members, inferer, batched="auto")
    torch.testing.assert_close(predictor(image), NetworkPredictor(members, inferer)(image))
    assert predictor.batched is False


@pytest.mark.parametrize("faster", [False, True])
def test_automatic_decides_once_by_what_is_measured(monkeypatch, faster):
    trials = []

    def measured(batched, one_by_one, window):
        assert tuple(window.shape) == (2, 1, 4, 4)
        torch.testing.assert_close(batched(window), one_by_one(window))
        trials.append(window)
        return faster

    monkeypatch.setattr(network_predictor, "is_faster", measured)
    members = [nn.Conv2d(1, 2, 1) for _ in range(3)]
    inferer = SlidingWindowInferer((4, 4), sw_batch_size=2)
    predictor = NetworkPredictor(members, inferer, batched="auto")
    image = torch.randn(1, 1, 9, 10, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        torch.testing.assert_close(predictor(image), NetworkPredictor(members, inferer)(image))
    assert len(trials) == 1
    assert predictor.batched is faster


def test_the_faster_of_two_is_found():
    work = torch.randn(200, 200, generator=torch.Generator().manual_seed(0))

    def slow(window):
        for _ in range(50):
            work @ work
        return window

    window = torch.zeros(1, 1, 2, 2)
    assert is_faster(lambda window: window, slow, window)
    assert not is_faster(slow, lambda window: window, window)


def test_automatic_runs_what_cannot_be_batched_one_by_one():
    members = [LooksAtValues(1, 2, 1) for _ in range(2)]
    image = torch.ones(1, 1, 4, 5)
    predictor = NetworkPredictor(members, SimpleInferer(), batched="auto")
    torch.testing.assert_close(predictor(image), NetworkPredictor(members, SimpleInferer())(image))
    assert predictor.batched is False


def test_rejects_to_batch_other_architectures():
    members = [nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 3)]
    with pytest.raises(ValueError, match=r"of one architecture.*got Conv2d, Conv2d that differ"):
        NetworkPredictor(members, SimpleInferer(), batched=True)


def test_rejects_another_word():
    with pytest.raises(ValueError, match="`batched` to be False, True or 'auto', but got 'yes'"):
        NetworkPredictor([nn.Conv2d(1, 2, 1)], SimpleInferer(), batched="yes")
