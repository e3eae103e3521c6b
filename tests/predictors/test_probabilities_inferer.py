"""Probabilities of overlapping windows are those that evaluation scores."""

from __future__ import annotations

import pytest
import torch
from monai.inferers import SlidingWindowInferer
from torch import nn

from medkd.predictors import NetworkPredictor, ProbabilitiesInferer


@pytest.fixture(params=[(13, 9), (9, 8, 7)], ids=["2d", "3d"])
def image(request):
    return torch.randn(2, 1, *request.param, generator=torch.Generator().manual_seed(5))


class _OfItsWindow(nn.Module):
    """Logits that depend on what else is in the window, so that windows disagree."""

    def forward(self, window):
        spread = window.flatten(1).std(dim=1).view(-1, *[1] * (window.dim() - 1))
        return torch.cat([window * 3, spread * 5 + 0 * window, -window], dim=1)


def test_are_those_of_the_predictor_that_is_judged(image):
    windows = SlidingWindowInferer(roi_size=(6, 5, 4)[: image.dim() - 2], overlap=0.5)
    found = ProbabilitiesInferer(windows)(image, _OfItsWindow())
    expected = NetworkPredictor([_OfItsWindow()], windows)(image)[0]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found.sum(dim=1), torch.ones_like(found[:, 0]))
    blended_logits = windows(image, _OfItsWindow()).softmax(dim=1)
    assert (found - blended_logits).abs().max() > 1e-3  # which is another forecast


def test_the_image_is_not_modified_and_no_gradient_is_recorded(image):
    before = image.clone()
    network = nn.Conv2d(1, 2, 1) if image.dim() == 4 else nn.Conv3d(1, 2, 1)
    windows = SlidingWindowInferer(roi_size=(4,) * (image.dim() - 2))
    assert not ProbabilitiesInferer(windows)(image, network).requires_grad
    assert torch.equal(image, before)
