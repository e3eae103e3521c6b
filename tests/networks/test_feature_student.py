from __future__ import annotations

import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import nn

from medkd.networks import FeatureStudent


class Distance(nn.Module):
    """Has a parameter, as a projection."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, student, teachers, label):
        assert label.shape[1] == 1
        return self.scale * sum((student - teacher).square().mean() for teacher in teachers)


def make():
    torch.manual_seed(0)
    network = BasicUNet(2, 1, 3, (4, 4, 6, 6, 8, 4))
    return network, FeatureStudent(network, {"inner": "down_2"}, {"inner": Distance()})


@pytest.fixture
def image():
    return torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_in_training_it_gives_the_output_and_the_losses(image):
    network, student = make()
    teacher = torch.zeros(2, 6, 8, 8)
    logits, terms = student(image, image, {"inner": [teacher, teacher]})
    assert logits.shape == (2, 3, 32, 32)
    assert list(terms) == ["inner"]
    terms["inner"].backward()
    assert student.losses["inner"].scale.grad is not None
    assert network.conv_0.conv_0.conv.weight.grad.abs().sum() > 0


def test_in_evaluation_the_network_alone_answers(image):
    network, student = make()
    student.eval()
    assert torch.equal(student(image), network(image))


def test_one_optimizer_takes_network_and_projections():
    network, student = make()
    assert len(list(student.parameters())) == len(list(network.parameters())) + 1
    assert "losses.inner.scale" in student.state_dict()


def test_rejects():
    network, student = make()
    with pytest.raises(ValueError, match="one of `losses` for each of `features`"):
        FeatureStudent(network, {"inner": "down_2"}, {"other": Distance()})
    with pytest.raises(ValueError, match="`label` and `teacher_features` in training mode"):
        student(torch.zeros(1, 1, 32, 32))
