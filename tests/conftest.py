"""What holds for every test."""

import pytest
import torch


def pytest_collection_modifyitems(items):
    """Tests that need an accelerator are left out where there is none."""
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs an accelerator")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture
def one_thread():
    """What more threads compute may differ in the last bit: they share an array out otherwise."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
