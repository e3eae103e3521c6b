"""Networks and cases whose scores are known."""

import pytest
import torch
from monai.data import MetaTensor
from torch import nn


class Says(nn.Module):
    """Gives the pixels whose image value is above its threshold this probability of class 1."""

    def __init__(self, prob, threshold=0.5):
        super().__init__()
        self.prob, self.threshold = prob, threshold
        self.calls = 0

    def forward(self, image):
        self.calls += 1
        prob = torch.where(image > self.threshold, self.prob, 1 - self.prob)
        return torch.cat([1 - prob, prob], dim=1).log()


@pytest.fixture
def says():
    return Says


@pytest.fixture(params=[(24, 17), (20, 9, 11)], ids=["2d", "3d"])
def spatial(request):
    return request.param


@pytest.fixture
def items(spatial):
    """Two cases whose image is their label, one with more of it than the other."""
    found = []
    for case_id, width in (("eye_1", 6), ("eye_2", 9)):
        label = torch.zeros(1, *spatial)
        label[:, :width] = 1
        found.append(
            {
                "case_id": case_id,
                "image": MetaTensor(label),
                "label": label.byte(),
                "mask": label >= 0,
            }
        )
    return found
