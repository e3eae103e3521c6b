"""What a network of two axes needs on the axial slices of a data set of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from medkd.errors import InvalidValueError
from medkd.planning.architecture_choice import choose_channels, choose_strides, downsampling
from medkd.planning.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["SLICES", "choose_slices"]

SLICES = "slices.json"  # the overlay, of a template that has it
_STEP = 32  # by which a SwinUNETR shrinks its image; a U-Net shrinks it by less
_LONGEST = 256  # pixels, as the published slices of CT
_SHORTEST = 64  # of the longer side: a SwinUNETR cannot take one of 32 x 32
_BATCH = 8

Strides = tuple[tuple[int, ...], ...]


def choose_slices(
    shapes: Sequence[Sequence[int]],
    memory: Callable[[tuple[int, ...], Strides, int], float],
    *,
    budget: float,
    base: int,
) -> dict[str, Choice]:
    """Size of the slices, and a teacher for them.

    Args:
        shapes: voxels of each volume along right-left, posterior-anterior and inferior-superior.
        memory: bytes that training takes on slices of a size, with strides and a batch size.
        budget: bytes that there are.
        base: features of the first level.

    Returns:
        ``patch_size``, ``strides``, ``channels`` and ``batch_size``.

    Raises:
        ValueError: if the smallest slice does not fit; it says how much is needed.

    Example:
        >>> choices = choose_slices([(512, 400, 90)], lambda *_: 0, budget=1, base=32)
        >>> choices["patch_size"].value
        [256, 192]
    """
    median = np.median([shape[:2] for shape in shapes], axis=0)
    longest = _STEP * round(min(max(median.max(), _SHORTEST), _LONGEST) / _STEP)
    while True:
        patch = tuple(max(_STEP, _STEP * round(longest * n / median.max() / _STEP)) for n in median)
        strides = choose_strides(patch, (1.0, 1.0))
        batch_size = _BATCH
        while batch_size > 1 and memory(patch, strides, batch_size) > budget:
            batch_size //= 2
        needed = memory(patch, strides, batch_size)
        if needed <= budget or longest == _SHORTEST:
            break
        longest -= _STEP
    if needed > budget:
        raise InvalidValueError(
            f"Expected `memory` to be enough for the smallest slice, {patch}, which takes "
            f"{needed / 2**30:.2f} GiB, but got {budget / 2**30:.2f} GiB."
        )
    along = " x ".join(f"{voxels:g}" for voxels in median)
    shrunk = " x ".join(map(str, downsampling(strides)))
    return {
        "patch_size": Choice(
            list(patch),
            f"Every axial slice, {along} voxels in the middle, is resized to this: multiples of "
            f"{_STEP} and {_SHORTEST} along one side, which a SwinUNETR needs; {_LONGEST} at most, "
            "less where memory wants it.",
        ),
        "strides": Choice(
            [stride[0] if len(set(stride)) == 1 else list(stride) for stride in strides],
            f"The teacher shrinks a slice by {shrunk}; at least four pixels are left of an axis.",
        ),
        "channels": Choice(
            list(choose_channels(len(strides), base=base)),
            f"{base} features at first, as in three axes.",
        ),
        "batch_size": Choice(
            batch_size,
            f"Slices a step: {_BATCH}, or as many as fit; a step takes about "
            f"{needed / 2**30:.2f} GiB.",
        ),
    }
