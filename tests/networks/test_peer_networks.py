from __future__ import annotations

import pytest
import torch
from torch import nn

from medkd.networks import PeerNetworks


class Plus(nn.Module):
    """A network whose answer is known: the image and a number, or several heads of it."""

    def __init__(self, number, num_heads=1):
        super().__init__()
        self.number = nn.Parameter(torch.tensor(number))
        self.num_heads = num_heads

    def forward(self, image):
        answer = image + self.number
        return [answer] * self.num_heads if self.num_heads > 1 else answer


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def image(request):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(2, 1, *request.param, generator=generator)


def test_all_answer_in_training_and_the_student_alone_in_evaluation(image):
    networks = PeerNetworks([Plus(1.0), Plus(2.0), Plus(3.0)])
    outputs = networks(image)
    assert isinstance(outputs, list)
    for number, output in enumerate(outputs, start=1):
        assert torch.equal(output, image + number)
    assert torch.equal(networks.eval()(image), image + 1)
    assert len(networks.train()(image)) == 3


def test_an_output_may_be_a_list_of_heads(image):
    first, second = PeerNetworks([Plus(1.0), Plus(2.0, num_heads=2)])(image)
    assert torch.equal(first, image + 1)
    assert [torch.equal(head, image + 2) for head in second] == [True, True]


def test_networks_are_those_that_were_given():
    given = [Plus(1.0), Plus(2.0)]
    networks = PeerNetworks(given)
    assert networks.networks == given
    assert networks.num_trained == 2
    assert PeerNetworks(given[:1]).num_trained == 1


def test_optimizer_and_state_hold_all():
    networks = PeerNetworks([Plus(1.0), Plus(2.0)])
    assert [p.item() for p in networks.parameters()] == [1.0, 2.0]
    other = PeerNetworks([Plus(7.0), Plus(8.0)])
    other.load_state_dict(networks.state_dict())
    assert [p.item() for p in other.parameters()] == [1.0, 2.0]


def test_nothing_happens_after_a_step():
    networks = PeerNetworks([Plus(1.0), Plus(2.0)])
    networks.after_step()
    assert [p.item() for p in networks.parameters()] == [1.0, 2.0]


def test_rejects_no_network():
    with pytest.raises(ValueError, match="`networks` to hold at least one network, but got none"):
        PeerNetworks([])


def test_rejects_one_network_twice():
    network = Plus(1.0)
    with pytest.raises(ValueError, match="`networks` to be different objects, but got one of them"):
        PeerNetworks([network, Plus(2.0), network])
