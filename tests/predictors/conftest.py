from __future__ import annotations

import pytest
import torch


@pytest.fixture(params=[(12, 9), (10, 7, 5)], ids=["2d", "3d"])
def spatial(request):
    return request.param


@pytest.fixture
def image(spatial):
    return torch.randn(2, 2, *spatial, generator=torch.Generator().manual_seed(4))
