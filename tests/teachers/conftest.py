from __future__ import annotations

import pytest
import torch


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def spatial(request):
    """Unequal axes, so that a swapped one cannot pass."""
    return request.param


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(20)
