"""The fingerprint of a data set: the numbers that a bundle's settings are chosen by."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.errors import InvalidValueError
from medkd.planning.case_measures import CaseMeasures, ChannelMeasures, measure_case
from medkd.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.data import Manifest

__all__ = ["ChannelFingerprint", "ClassFingerprint", "Fingerprint", "take_fingerprint"]

_AIR = -500  # HU: only CT goes below, in whole numbers
_CT = re.compile(r"(?<![a-z])ct(?![a-z])|computed tomography|hounsfield", re.IGNORECASE)
_MR = re.compile(
    r"(?<![a-z])(mri?|t1|t2|flair|adc|dwi|pd|cine|lge|swi)(?![a-z])|t1w|t2w|magnetic",
    re.IGNORECASE,
)
_PERCENTILES = (0.5, 99.5)
_VOLUMES = 3  # spatial axes


@dataclass(frozen=True)
class ChannelFingerprint:
    """Intensities of one image channel inside the structures, over all training cases.

    Args:
        name: name of the channel.
        low: 0.5th percentile, of at most ``SAMPLE_SIZE`` evenly spaced voxels a case.
        high: 99.5th percentile, likewise.
        mean: mean of all of the voxels.
        std: standard deviation of all of them.
        minimum: least value, outside the structures, too.
        whole_numbers: whether all values are.
        zero_share: median over the cases of the share of voxels that are exactly zero.
    """

    name: str
    low: float
    high: float
    mean: float
    std: float
    minimum: float
    whole_numbers: bool
    zero_share: float


@dataclass(frozen=True)
class ClassFingerprint:
    """One structure over all training cases.

    Args:
        name: name of the class.
        cases: how many cases have it.
        voxel_share: its share of all voxels.
        volume: median over the cases that have it, in ml.
    """

    name: str
    cases: int
    voxel_share: float
    volume: float


@dataclass(frozen=True)
class Fingerprint:
    """A data set's training split in numbers; axes are right-left, posterior-anterior, up (RAS).

    Args:
        dataset: name of the data set.
        modality: ``"CT"``, ``"MR"`` or ``"other"``.
        modality_source: what says so, as the end of a sentence.
        case_ids: the cases, in stored order.
        shapes: voxels along each axis, a case.
        spacings: mm between voxels along each axis, a case.
        orientations: how files store their axes, to how many cases do.
        body: median extent in mm of what is not air, along each axis.
        channels: the image's channels.
        classes: the structures, without the background.
        num_unlabeled: how many of the cases have no label, so that they say nothing of structures
            and of intensities inside them.
    """

    dataset: str
    modality: str
    modality_source: str
    case_ids: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    spacings: tuple[tuple[float, ...], ...]
    orientations: dict[str, int]
    body: tuple[float, ...]
    channels: tuple[ChannelFingerprint, ...]
    classes: tuple[ClassFingerprint, ...]
    num_unlabeled: int = 0

    @property
    def num_cases(self) -> int:
        """How many cases were measured."""
        return len(self.case_ids)

    @property
    def num_labeled(self) -> int:
        """How many of them have a label."""
        return self.num_cases - self.num_unlabeled

    def to_json(self) -> dict[str, Any]:
        """The same as plain lists and dictionaries, one entry a case.

        Returns:
            What ``fingerprint.json`` holds.
        """
        content = asdict(self)
        columns = [content.pop(name) for name in ("case_ids", "shapes", "spacings")]
        content["cases"] = [
            {"case_id": case_id, "shape": list(shape), "spacing": list(spacing)}
            for case_id, shape, spacing in zip(*columns, strict=True)
        ]
        return content


def take_fingerprint(manifest: Manifest, dataset_dir: str | Path) -> Fingerprint:
    """Read every training case, one in memory at a time, with a progress bar.

    Args:
        manifest: of a data set of volumes.
        dataset_dir: folder that its paths are relative to.

    Returns:
        The fingerprint, which depends on the files alone.

    Raises:
        OSError: if a file is not there or may not be read.
        ValueError: if the data set is one of pictures, a case cannot be read, image and label do
            not belong together, there is no training split, or no training case shows a structure.
    """
    if manifest.spatial_dims != _VOLUMES:
        raise InvalidValueError(
            f"Expected volumes, but got {manifest.name}, a data set of pictures: bundles/end_kl is "
            "the bundle for them, with --manifest and --dataset_dir."
        )
    folder = Path(dataset_dir).expanduser()
    bar = progress(manifest.split_cases("train"), desc="taking the fingerprint", unit="case")
    return summarize_measures([measure_case(case, manifest, folder) for case in bar], manifest)


def summarize_measures(measures: Sequence[CaseMeasures], manifest: Manifest) -> Fingerprint:
    """From measures of each case to the data set's fingerprint.

    Args:
        measures: of each training case.
        manifest: the data set's.

    Returns:
        The fingerprint.

    Raises:
        ValueError: if no case has any voxel but background.
    """
    foreground = [sum(case.class_voxels[1:]) for case in measures]
    if not sum(foreground):
        raise InvalidValueError(
            f"Expected the training labels of {manifest.name} to show a structure, but got "
            f"background alone in all {sum(case.is_labeled for case in measures)} cases."
        )
    channels = tuple(
        _join_channel(
            manifest.channel_names[i], [case.channels[i] for case in measures], foreground
        )
        for i in range(manifest.num_channels)
    )
    modality, source = recognize_modality(manifest, channels)
    return Fingerprint(
        dataset=manifest.name,
        modality=modality,
        modality_source=source,
        case_ids=tuple(case.case_id for case in measures),
        shapes=tuple(case.shape for case in measures),
        spacings=tuple(tuple(_clean(mm) for mm in case.spacing) for case in measures),
        orientations=dict(sorted(Counter(case.orientation for case in measures).items())),
        body=tuple(np.median([case.body for case in measures], axis=0).tolist()),
        channels=channels,
        classes=_join_classes(manifest.class_names, measures),
        num_unlabeled=sum(not case.is_labeled for case in measures),
    )


def recognize_modality(
    manifest: Manifest, channels: Sequence[ChannelFingerprint]
) -> tuple[str, str]:
    """CT, MR or another modality, and what says so.

    The channels' names come first, then the manifest's ``modality``, then the intensities.

    Args:
        manifest: the data set's.
        channels: its intensities.

    Returns:
        ``"CT"``, ``"MR"`` or ``"other"``, and the evidence.
    """
    names = ", ".join(channel.name for channel in channels)
    told = [_kinds_in(channel.name) for channel in channels]
    if any(told):
        if len(told[0]) == 1 and all(kinds == told[0] for kinds in told):
            return told[0][0], f"the channel names say so ({names})"
        return "other", f"the channels are not of one kind ({names})"
    stated = _kinds_in(manifest.modality)
    if len(stated) == 1:
        return stated[0], f"the manifest says so ({manifest.modality})"
    if not stated and all(c.whole_numbers and c.minimum < _AIR for c in channels):
        return "CT", f"all values are whole numbers and reach below {_AIR}, as Hounsfield units do"
    return "other", "neither the manifest nor Hounsfield units tell"


def _kinds_in(text: str) -> list[str]:
    return [kind for kind, pattern in (("CT", _CT), ("MR", _MR)) if pattern.search(text)]


def _join_channel(
    name: str, parts: Sequence[ChannelMeasures], counts: Sequence[int]
) -> ChannelFingerprint:
    mean = sum(part.total for part in parts) / sum(counts)
    within = sum(part.total_of_squares for part in parts)
    between = sum(
        count * (part.total / count - mean) ** 2
        for part, count in zip(parts, counts, strict=True)
        if count
    )
    values = np.concatenate([part.sample for part in parts]).astype(np.float64)
    low, high = np.percentile(values, _PERCENTILES).tolist()
    return ChannelFingerprint(
        name=name,
        low=_clean(low),
        high=_clean(high),
        mean=_clean(mean),
        std=_clean(((within + between) / sum(counts)) ** 0.5),
        minimum=min(part.minimum for part in parts),
        whole_numbers=all(part.whole_numbers for part in parts),
        zero_share=_clean(float(np.median([part.zero_share for part in parts]))),
    )


def _join_classes(
    names: Sequence[str], measures: Sequence[CaseMeasures]
) -> tuple[ClassFingerprint, ...]:
    voxels = np.asarray([case.class_voxels for case in measures], dtype=np.int64)
    voxel_ml = np.asarray([float(np.prod(case.spacing)) / 1000 for case in measures])
    found = []
    for index, name in enumerate(names[1:], start=1):
        there = voxels[:, index] > 0
        volumes = (voxels[:, index] * voxel_ml)[there]
        found.append(
            ClassFingerprint(
                name=name,
                cases=int(there.sum()),
                voxel_share=_clean(float(voxels[:, index].sum() / voxels.sum())),
                volume=_clean(float(np.median(volumes)) if there.any() else 0.0),
            )
        )
    return tuple(found)


def _clean(number: float) -> float:
    """Six significant decimals: 0.30000001192 of a header's float32 is 0.3."""
    return float(f"{number:.6g}")
