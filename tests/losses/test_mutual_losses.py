from __future__ import annotations

from functools import partial

import pytest
import torch

from medkd.functional import consistency, cross_pseudo_label, mutual_dice, mutual_kl
from medkd.losses import ConsistencyLoss, CrossPseudoLabelLoss, MutualDiceLoss, MutualKLLoss

LOSSES = {
    "dice": (
        MutualDiceLoss(1.6, include_background=True),
        partial(mutual_dice, temperature=1.6, include_background=True),
    ),
    "kl": (MutualKLLoss(2), partial(mutual_kl, temperature=2.0)),
    "cross-pseudo-label": (CrossPseudoLabelLoss(), cross_pseudo_label),
    "consistency": (ConsistencyLoss(), consistency),
}


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def peer_logits(request):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(3, 2, 4, *request.param, generator=generator)  # (M, B, C, *spatial)


@pytest.mark.parametrize(("loss", "function"), LOSSES.values(), ids=LOSSES.keys())
def test_module_equals_function(peer_logits, loss, function):
    assert torch.equal(loss(peer_logits), function(peer_logits))
    assert loss.state_dict() == {}


def steps_of(loss, image):
    """The loss before and after a step of two networks, and how far each was moved."""
    conv = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[image.ndim - 2]
    torch.manual_seed(0)
    networks = [conv(4, 3, 1), conv(4, 3, 1)]
    parameters = [p for network in networks for p in network.parameters()]
    before = [[p.detach().clone() for p in network.parameters()] for network in networks]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    first = loss(torch.stack([network(image) for network in networks]))
    first.backward()
    optimizer.step()
    second = loss(torch.stack([network(image) for network in networks]))
    moved = [
        [not torch.equal(old, new) for old, new in zip(values, network.parameters(), strict=True)]
        for values, network in zip(before, networks, strict=True)
    ]
    return first.item(), second.item(), moved


@pytest.mark.parametrize("name", ["dice", "kl", "cross-pseudo-label"])
def test_one_step_moves_both_networks_towards_each_other(peer_logits, name):
    first, second, moved = steps_of(LOSSES[name][0], peer_logits[0])
    assert second < first
    assert all(all(parameters) for parameters in moved)


def test_one_step_of_consistency_moves_the_student_alone(peer_logits):
    first, second, (student, teacher) = steps_of(ConsistencyLoss(), peer_logits[0])
    assert second < first
    assert all(student)
    assert not any(teacher)


def test_shows_its_configuration():
    assert repr(MutualDiceLoss(3)) == "MutualDiceLoss(temperature=3.0, include_background=False)"
    assert repr(MutualKLLoss()) == "MutualKLLoss(temperature=1.0)"


@pytest.mark.parametrize("loss", [MutualDiceLoss, MutualKLLoss])
@pytest.mark.parametrize("temperature", [0, -2.0, float("nan")])
def test_rejects_temperature_at_once(loss, temperature):
    with pytest.raises(ValueError, match="`temperature` to be finite and above zero"):
        loss(temperature=temperature)


@pytest.mark.parametrize("loss", [MutualDiceLoss, MutualKLLoss])
@pytest.mark.parametrize("temperature", ["2", None, True])
def test_rejects_temperature_of_other_type(loss, temperature):
    with pytest.raises(TypeError, match="`temperature` to be a number"):
        loss(temperature=temperature)
