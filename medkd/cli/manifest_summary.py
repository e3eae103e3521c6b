"""What a manifest holds, for the terminal."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from medkd.cli.terminal import write

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from medkd.data import Manifest

__all__ = ["describe_manifest", "summarize_manifest"]

_SHOWN = 12  # classes named before it says how many more there are


def describe_manifest(manifest: Manifest, path: str | Path, *, dataset_dir: str | Path) -> None:
    """Write what was decided, which channels and classes there are, and how to prove the files.

    Args:
        manifest: the manifest.
        path: where it was written.
        dataset_dir: the folder of its files.
    """
    channels = ", ".join(manifest.channel_names.values())
    kind = "volumes" if manifest.spatial_dims == 3 else "pictures"
    write(manifest.changes)
    write(f"{kind} of {manifest.num_channels} channel(s): {channels}")
    write(f"{manifest.num_classes} classes: {_shorten(manifest.class_names)}")
    write(f"{path}: {summarize_manifest(manifest)}")
    there, folder = (shlex.quote(str(one)) for one in (path, dataset_dir))
    write(f"now prove it: medkd data check {there} --dataset_dir {folder}")


def summarize_manifest(manifest: Manifest) -> str:
    """How many cases, of how many patients, in which splits, and how many are unlabeled.

    Args:
        manifest: the manifest.

    Returns:
        ``"8 cases of 4 patients (train 6, test 2)"``, with ``", 2 unlabeled"`` where there are.
    """
    patients = len({case.patient for case in manifest.cases})
    splits = ", ".join(f"{name} {len(ids)}" for name, ids in manifest.splits.items())
    unlabeled = sum(not case.is_labeled for case in manifest.cases)
    more = f", {unlabeled} unlabeled" if unlabeled else ""
    return f"{len(manifest.cases)} cases of {patients} patients ({splits}){more}"


def _shorten(classes: Sequence[str]) -> str:
    more = f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else ""
    return ", ".join(classes[:_SHOWN]) + more
