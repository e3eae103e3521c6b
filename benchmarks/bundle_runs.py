"""Running a bundle in a process of its own, for the benchmarks that train."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REPOSITORY = Path(__file__).resolve().parents[1]


def run_bundle(files: Sequence[str], overrides: Mapping[str, object], *, jobs: int) -> None:
    """Run the ``training`` of configuration files; of several jobs each has its share of the cores.

    Args:
        files: relative to the repository.
        overrides: ids and values, ``output_dir`` among them.
        jobs: how many run side by side.
    """
    command = [sys.executable, "-m", "monai.bundle", "run", "training"]
    command += ["--config_file", str(list(files))]
    command += [text for key, value in overrides.items() for text in (f"--{key}", str(value))]
    environment = dict(os.environ)
    if jobs > 1:
        environment["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // jobs))
    start = time.monotonic()
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    print(f"{overrides['output_dir']}: {(time.monotonic() - start) / 60:.1f} minutes", flush=True)
