"""Networks of two and three axes whose windows need not be square."""

import pytest
import torch
from monai.networks.nets import UNet


@pytest.fixture(params=[(8, 12), (8, 4, 12)], ids=["2d", "3d"])
def patch_size(request):
    return request.param


@pytest.fixture
def network(patch_size):
    torch.manual_seed(0)
    return UNet(
        len(patch_size), 2, 3, channels=[4, 6], strides=[2], num_res_units=1, norm="instance"
    ).eval()


@pytest.fixture
def windows(patch_size):
    """Batches of another number and size than the window that a network is converted with."""
    generator = torch.Generator().manual_seed(1)
    longer = [2 * size for size in patch_size]
    return [
        torch.randn(b, 2, *size, generator=generator) for b, size in [(3, patch_size), (1, longer)]
    ]
