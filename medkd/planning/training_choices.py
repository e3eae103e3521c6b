"""How long to train, on how many patches at a time, and how to vary them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from medkd.planning.choice import Choice
from medkd.texts import markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "choose_batch_size",
    "choose_cache",
    "choose_flip_probability",
    "choose_rotation",
    "choose_schedule",
    "is_small",
]

_SMALL_VOXELS = 64**3
_STEPS = {True: 1500, False: 15_000}  # of a member, for small volumes and for large ones
_STUDENT_EPOCHS = 2  # times those of a member
_SHORTEST_EPOCH, _LONGEST_EPOCH = 10, 250
_VALIDATIONS = 10  # in the training of a member
_LEAST_BATCH, _LARGEST_BATCH = 2, 8
_BATCH_SHARE = 0.05  # of the training set's voxels that a step may see
_SIDED = re.compile(r"(?<![a-z])(left|right|l|r|lv|rv|la|ra|lh|rh|sin|dex)(?![a-z])", re.IGNORECASE)
_ANGLE = 0.2  # rad, about 11 degrees
_MOST_SHEAR = 2  # ratio of spacings, from where turning voxels distorts too much
_MOST_FLAT = 3  # ratio of a patch's sides, from where turning moves its ends out of it


def is_small(shape: Sequence[int]) -> bool:
    """Whether a volume is small enough to train on without a GPU.

    Args:
        shape: voxels along each axis, after resampling.

    Returns:
        True up to 64 x 64 x 64 voxels.
    """
    return math.prod(shape) <= _SMALL_VOXELS


def choose_batch_size(
    memory: Callable[[int], float], *, budget: float, shape: Sequence[int],
    patch_size: Sequence[int], num_cases: int,
) -> Choice:  # fmt: skip
    """Two patches a step; more for large volumes of which one patch shows all.

    Args:
        memory: bytes that training takes with a batch size.
        budget: bytes that there are.
        shape: voxels of the median volume along each axis.
        patch_size: voxels of a patch along each axis.
        num_cases: training cases.

    Returns:
        The batch size.
    """
    whole = all(size >= side for size, side in zip(patch_size, shape, strict=True))
    most = _LEAST_BATCH
    if whole and not is_small(shape):
        share = int(_BATCH_SHARE * num_cases)
        most = max(_LEAST_BATCH, min(_LARGEST_BATCH, share))
    batch_size = _LEAST_BATCH
    while batch_size < most and memory(batch_size + 1) <= budget:
        batch_size += 1
    if batch_size > _LEAST_BATCH:
        reason = "A patch shows a whole volume, so what memory is left goes into more of them."
    else:
        reason = "The fewest that make a batch: memory and time go into larger patches instead."
    return Choice(batch_size, reason)


def choose_schedule(
    *, shape: Sequence[int], num_cases: int, batch_size: int, has_members: bool = True
) -> dict[str, Choice]:
    """Epochs and steps: small volumes for a few CPU cores, large ones for a GPU.

    Args:
        shape: voxels of the median volume along each axis.
        num_cases: training cases.
        batch_size: patches a step.
        has_members: whether the student learns from an ensemble, whose members are trained first.

    Returns:
        ``steps_per_epoch``, ``member_num_epochs`` if there are members, ``num_epochs`` and
        ``val_interval``.
    """
    small = is_small(shape)
    steps = min(max(math.ceil(num_cases / batch_size), _SHORTEST_EPOCH), _LONGEST_EPOCH)
    epochs = math.ceil(_STEPS[small] / steps)
    interval = max(1, epochs // _VALIDATIONS)
    kind = (
        f"volumes are small (at most {_SMALL_VOXELS:,} voxels), which a few CPU cores can train on"
        if small
        else f"volumes are large (more than {_SMALL_VOXELS:,} voxels), so a GPU is expected"
    )
    found = {
        "steps_per_epoch": Choice(
            steps,
            f"So that an epoch sees about each of the {num_cases} training cases once, but "
            f"{_SHORTEST_EPOCH} to {_LONGEST_EPOCH} steps.",
        )
    }
    if not has_members:
        found["num_epochs"] = Choice(epochs, f"About {_STEPS[small]:,} steps, because {kind}.")
        reason = f"Epochs between validations, about {_VALIDATIONS} in all."
        return {**found, "val_interval": Choice(interval, reason)}
    return {
        **found,
        "member_num_epochs": Choice(
            epochs, f"About {_STEPS[small]:,} steps for each member, because {kind}."
        ),
        "num_epochs": Choice(
            _STUDENT_EPOCHS * epochs,
            "Twice those of a member: a student needs a longer schedule than its teachers.",
        ),
        "val_interval": Choice(
            interval, f"Epochs between validations, about {_VALIDATIONS} for each member."
        ),
    }


def choose_cache(
    *, shape: Sequence[int], num_cases: int, num_channels: int, num_classes: int
) -> Choice:
    """Room for prepared volumes, on the disk beside the run and in memory.

    Args:
        shape: voxels of the median volume along each axis, after resampling.
        num_cases: training and validation cases.
        num_channels: image channels, float32.
        num_classes: classes, of which a soft label keeps one byte each.

    Returns:
        Gigabytes, 10^9 bytes, 1 at least.
    """
    voxel_bytes = 4 * num_channels + 1 + num_classes
    total = num_cases * math.prod(shape) * voxel_bytes
    reason = (
        f"All {num_cases} prepared training and validation volumes take about {total / 1e9:.2f} "
        "GB: as much is kept beside the run, and of the memory at most half."
    )
    return Choice(float(max(1, math.ceil(total / 1e9))), reason)


def choose_flip_probability(class_names: Sequence[str], *, modality: str) -> Choice:
    """Whether patches are flipped left to right.

    Args:
        class_names: names of the structures.
        modality: ``"CT"``, ``"MR"`` or ``"other"``.

    Returns:
        A probability.
    """
    sided = [name for name in class_names if _SIDED.search(name.replace("_", " "))]
    if sided:
        return Choice(0.0, f"No flips left to right: '{markdown(sided[0])}' names a side.")
    if modality == "CT":
        return Choice(0.0, "No flips left to right: organs of the trunk have their side.")
    return Choice(
        0.5, "Patches are flipped left to right half of the time: no class name names a side."
    )


def choose_rotation(patch_size: Sequence[int], spacing: Sequence[float]) -> Choice:
    """How far patches are turned about each axis.

    Turning happens in voxels, so it shears where two axes differ in spacing, and it moves the ends
    of a flat patch out of it: such planes are not turned.

    Args:
        patch_size: voxels along each axis.
        spacing: mm along each axis.

    Returns:
        Largest angle in radians about each axis.

    Example:
        >>> choose_rotation((128, 128, 10), (1.5, 1.5, 10.0)).value
        [0.0, 0.0, 0.2]
    """
    angles = []
    for axis in range(len(patch_size)):
        plane = [other for other in range(len(patch_size)) if other != axis]
        sizes, mm = ([along[a] for a in plane] for along in (patch_size, spacing))
        alike = max(mm) <= _MOST_SHEAR * min(mm) and max(sizes) <= _MOST_FLAT * min(sizes)
        angles.append(_ANGLE if alike else 0.0)
    if all(angles):
        return Choice(angles, "Patches are turned a little (radians) about each axis.")
    return Choice(
        angles,
        "Radians about each axis: planes whose axes differ much in spacing or length are not "
        "turned, which would shear them.",
    )
