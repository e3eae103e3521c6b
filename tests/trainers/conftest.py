"""Trainings of two processes, which a test file starts by running itself."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def both(request, tmp_path_factory):
    """The folder that two processes leave, those of the file's ``__main__``."""
    folder = tmp_path_factory.mktemp("two_processes")
    subprocess.run([sys.executable, str(request.path), str(folder)], check=True, timeout=120)
    return folder
