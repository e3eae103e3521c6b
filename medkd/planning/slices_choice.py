"""What a network of two axes needs on the axial slices of a data set of volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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

    Example:
        >>> choices = choose_slices([(512, 400, 90)], lambda *_: 0, budget=1, base=32)
        >>> choices["patch_size"].value
        [256, 192]
    """
    median = np.median([shape[:2] for shape in shapes], axis=0)
    scale = min(1.0, _LONGEST / median.max())
    size = [max(_STEP, _STEP * round(scale * along / _STEP)) for along in median]
    size[int(median.argmax())] = max(_SHORTEST, size[int(median.argmax())])
    patch = tuple(size)
    strides = choose_strides(patch, (1.0, 1.0))
    batch_size = _BATCH
    while batch_size > 1 and memory(patch, strides, batch_size) > budget:
        batch_size //= 2
    needed = memory(patch, strides, batch_size) / 2**30
    along = " x ".join(f"{voxels:g}" for voxels in median)
    shrunk = " x ".join(map(str, downsampling(strides)))
    return {
        "patch_size": Choice(
            size,
            f"Every axial slice, {along} voxels in the middle, is resized to this: multiples of "
            f"{_STEP}, which a SwinUNETR needs, and at most {_LONGEST}.",
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
            f"Slices a step: {_BATCH}, or as many as fit; this takes about {needed:.2f} GiB.",
        ),
    }
