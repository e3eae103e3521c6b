"""What holds for every test."""

from pathlib import Path

import pytest
import torch

_REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


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


@pytest.fixture(scope="session")
def real_data():
    """Folder of a real data set by name, beside the repository; tests skip without it."""

    def find(name):
        if not (_REAL_DATA / name).is_dir():
            pytest.skip(f"{name} is not beside the repository")
        return _REAL_DATA / name

    return find
