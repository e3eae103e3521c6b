"""What is done to the intensities before a network sees them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from medkd.planning.choice import Choice
from medkd.texts import markdown

if TYPE_CHECKING:
    from medkd.planning.fingerprint import Fingerprint

__all__ = ["choose_normalization"]

_BLACK_BACKGROUND = 0.25  # share of exact zeros: more than noise rounds to, as in a stripped skull


def choose_normalization(fingerprint: Fingerprint) -> Choice:
    """CT: clipped and scaled by the percentiles inside the structures. Others: z-score a volume.

    Hounsfield units mean the same in every CT, so one range serves all. Intensities of MR mean
    nothing by themselves, so each channel of each volume gets zero mean and unit variance, over the
    voxels that are not exactly zero where the background is.

    Args:
        fingerprint: of the data set.

    Returns:
        A list of MONAI transforms on ``image``, as a bundle's ``normalization``.
    """
    if fingerprint.modality == "CT":
        return _clip(fingerprint)
    share = min(channel.zero_share for channel in fingerprint.channels)
    black = share >= _BLACK_BACKGROUND
    where = (
        f"over its voxels that are not exactly zero, which {share:.0%} are (background)"
        if black
        else "over all of its voxels"
    )
    standardize = {
        "_target_": "NormalizeIntensityd",
        "keys": "image",
        "nonzero": black,
        "channel_wise": True,
    }
    reason = (
        f"{_name(fingerprint)}, so intensities of two scans cannot be compared: each channel of "
        f"each volume gets mean 0 and standard deviation 1 {where}."
    )
    return Choice([standardize], reason)


def _clip(fingerprint: Fingerprint) -> Choice:
    low = float(math.floor(min(channel.low for channel in fingerprint.channels)))
    high = float(math.ceil(max(channel.high for channel in fingerprint.channels)))
    high = max(high, low + 1)
    scale = {
        "_target_": "ScaleIntensityRanged",
        "keys": "image",
        "a_min": low,
        "a_max": high,
        "b_min": -1.0,
        "b_max": 1.0,
        "clip": True,
    }
    reason = (
        f"{_name(fingerprint)}. {low:g} and {high:g} are the 0.5th and 99.5th percentile inside "
        "the labeled structures: what lies beyond is cut off, the rest scaled to -1 to 1."
    )
    return Choice([scale], reason)


def _name(fingerprint: Fingerprint) -> str:
    kind = {"CT": "CT", "MR": "MR"}.get(fingerprint.modality, "Neither CT nor MR")
    return f"{kind}: {markdown(fingerprint.modality_source)}"
