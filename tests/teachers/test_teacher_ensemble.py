from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from medkd.teachers import TeacherEnsemble


class Says(nn.Module):
    """Says the same logits at every voxel."""

    def __init__(self, *logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, image):
        shape = (1, -1, *(1,) * (image.dim() - 2))
        return self.logits.view(shape).expand(image.shape[0], -1, *image.shape[2:])


def awake_network(spatial):
    """A network that shows whether it is awake: by its dropout and its batch norm's statistics."""
    conv, norm = {
        2: (nn.Conv2d, nn.BatchNorm2d),
        3: (nn.Conv3d, nn.BatchNorm3d),
    }[len(spatial)]
    return nn.Sequential(conv(1, 4, 1), norm(4), nn.Dropout(0.5), conv(4, 3, 1))


def test_is_the_mean_of_probabilities_and_not_of_logits(spatial):
    # Odds of 3 to 1 and of 1 to 15: (3/4 + 1/16) / 2. The mean of logits would give odds of
    # 1 to sqrt(5).
    teacher = TeacherEnsemble([Says(math.log(3), 0.0), Says(0.0, math.log(15))])
    probs = teacher(torch.zeros(2, 1, *spatial))
    assert probs.shape == (2, 2, *spatial)
    torch.testing.assert_close(probs[:, 0], torch.full((2, *spatial), 13 / 32))
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(2, *spatial))


def test_temperature_divides_the_logits_of_each_member():
    # Odds of 9 to 1 and of 1 to 25 become 3 to 1 and 1 to 5 at a temperature of 2.
    members = [Says(math.log(9), 0.0), Says(0.0, math.log(25))]
    probs = TeacherEnsemble(members, temperature=2.0)(torch.zeros(1, 1, 2))
    torch.testing.assert_close(probs[0, :, 0], torch.tensor([11 / 24, 13 / 24]))


def test_large_temperature_says_nothing():
    probs = TeacherEnsemble([Says(3.0, -2.0, 0.0)], temperature=1e6)(torch.zeros(1, 1, 2))
    torch.testing.assert_close(probs, torch.full((1, 3, 2), 1 / 3), atol=1e-5, rtol=0)


def test_one_member_is_its_softmax(spatial, generator):
    network = awake_network(spatial).eval()
    image = torch.randn(2, 1, *spatial, generator=generator)
    expected = torch.softmax(network(image) / 1.5, dim=1)
    torch.testing.assert_close(TeacherEnsemble([network], temperature=1.5)(image), expected)


def test_members_may_differ_in_architecture(spatial, generator):
    image = torch.randn(2, 1, *spatial, generator=generator)
    networks = [awake_network(spatial), Says(1.0, 0.0, 2.0)]
    expected = sum(torch.softmax(network.eval()(image), dim=1) for network in networks) / 2
    torch.testing.assert_close(TeacherEnsemble(networks)(image), expected)


def test_a_parent_does_not_wake_it(spatial, generator):
    teacher = TeacherEnsemble([awake_network(spatial) for _ in range(3)])
    parent = nn.ModuleDict({"student": awake_network(spatial), "teacher": teacher}).train()
    assert parent["student"].training
    assert not any(module.training for module in teacher.modules())
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    image = torch.randn(2, 1, *spatial, generator=generator)
    assert torch.equal(teacher(image), teacher(image))  # no dropout
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_no_gradient_reaches_the_members(generator):
    member = awake_network((8, 7))
    teacher = TeacherEnsemble([member])
    image = torch.randn(2, 1, 8, 7, generator=generator, requires_grad=True)
    probs = teacher(image)
    assert not probs.requires_grad
    assert not any(parameter.requires_grad for parameter in member.parameters())
    (probs.sum() + image.sum()).backward()
    assert all(parameter.grad is None for parameter in member.parameters())


def test_follows_dtype_and_shows_its_temperature():
    teacher = TeacherEnsemble([Says(1.0, 0.0)], temperature=3).double()
    assert teacher(torch.zeros(1, 1, 2)).dtype == torch.float64
    assert "temperature=3.0" in repr(teacher)


def test_rejects_no_members():
    with pytest.raises(ValueError, match="`members` to hold at least one network, but got none"):
        TeacherEnsemble([])


@pytest.mark.parametrize("temperature", [0, -1.0, math.nan, math.inf])
def test_rejects_temperature(temperature):
    with pytest.raises(ValueError, match="`temperature` to be finite and above zero, but got"):
        TeacherEnsemble([Says(1.0, 0.0)], temperature=temperature)


def test_rejects_temperature_of_other_type():
    with pytest.raises(TypeError, match="`temperature` to be a number, but got str"):
        TeacherEnsemble([Says(1.0, 0.0)], temperature="2")
