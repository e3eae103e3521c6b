"""Whether the disk has room for what a run will leave on it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import nn

    from medkd.runs import Run

__all__ = ["check_disk", "needed_bytes"]

_COPIES = 4  # of a network's weights while it trains: best, last, and two moments of the optimizer
_GIB = 2**30


def check_disk(run: Run) -> None:
    """Refuse a run that would fill the disk after hours.

    Args:
        run: the run.

    Raises:
        OSError: if the disk of the run's folder has less room than :func:`needed_bytes`.
    """
    if run.model_file.is_file():
        return
    needed, free = needed_bytes(run), shutil.disk_usage(run.folder).free
    if needed > free:
        raise FileError(
            f"Expected {needed / _GIB:.2f} GiB free for weights and soft labels in {run.folder}, "
            f"but the disk has {free / _GIB:.2f} GiB. Make room, or choose another --output_dir."
        )


def needed_bytes(run: Run) -> int:
    """What the run will take on the disk, at least.

    Args:
        run: the run.

    Returns:
        Bytes: the checkpoints of its networks, and of the soft labels half of what the images have
        in files, for both are compressed.
    """
    networks = 1 + run.num_members
    network: nn.Module = run.with_overrides().get_parsed_content("network_def")
    weights = sum(p.numel() * p.element_size() for p in network.parameters())
    soft = _file_bytes(run.value("train::cases", [])) // 2 if run.value("soft_label_store") else 0
    return networks * weights * _COPIES + soft


def _file_bytes(cases: Iterable[Mapping[str, Any]]) -> int:
    files = [
        Path(file)
        for case in cases
        for file in (case["image"] if isinstance(case["image"], list) else [case["image"]])
    ]
    return sum(file.stat().st_size for file in files if file.is_file())
