"""One line on what a manifest holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medkd.data import Manifest

__all__ = ["summarize_manifest"]


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
