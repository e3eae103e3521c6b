"""Which image has which label, by their names alone."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.data.manifests.file_pairing import natural_order
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["PairedNames", "pair_names"]

_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_IMAGE_ENDINGS = ("", "_image", "_img", "_scan")
_LABEL_ENDING = re.compile(r"[-_. ]*[-_. ][A-Za-z][-_. \w]*")


@dataclass(frozen=True)
class PairedNames:
    """Images and labels that belong together.

    Args:
        cases: case id, files of the image (one a channel) and file of the label, in natural order.
        unlabeled: case id and files of the images that no label belongs to, in natural order.
        kind: ``"nnU-Net, 2 channels"`` where names say channels, else empty.
    """

    cases: tuple[tuple[str, tuple[Path, ...], Path], ...]
    unlabeled: tuple[tuple[str, tuple[Path, ...]], ...]
    kind: str


def pair_names(
    images: Mapping[str, Path], labels: Mapping[str, Path], *, where: Path
) -> PairedNames:
    """Pair images and labels: equal names, channels of nnU-Net, or endings that all have.

    Args:
        images: name without suffix to file.
        labels: likewise.
        where: the folder of both, for messages.

    Returns:
        The pairs.

    Raises:
        ValueError: if names do not pair, a label has no image, or a channel is missing.
    """
    matches = []
    for grouped, kind in _groupings(images):
        for ending in _endings(labels, grouped):
            ids = {
                stem.removesuffix(ending): path
                for stem, path in labels.items()
                if stem.endswith(ending)
            }
            matches.append((sum(i in grouped for i in ids), kind, grouped, ids))
    count, kind, grouped, ids = max(matches, key=lambda match: match[0])
    lonely = [path for i, path in ids.items() if i not in grouped]
    if count < len(labels):
        first = lonely[0] if lonely else next(p for p in labels.values() if p not in ids.values())
        raise InvalidValueError(
            f"Expected an image for every label in {where}, but {len(labels) - count} of "
            f"{len(labels)} have none, the first of them {first.name}; if names differ, state "
            "patterns for the image and the label."
        )
    _check_channels({i: grouped[i] for i in ids}, where=where)
    files = {i: tuple(grouped[i][c] for c in sorted(grouped[i])) for i in grouped}
    order = sorted(ids, key=natural_order)
    num_channels = len(files[order[0]])
    return PairedNames(
        cases=tuple((i, files[i], ids[i]) for i in order),
        unlabeled=tuple((i, files[i]) for i in sorted(files.keys() - ids, key=natural_order)),
        kind=f"{kind}, {num_channels} channel{'s' * (num_channels > 1)}" if kind else "",
    )


def _groupings(images: Mapping[str, Path]) -> Iterator[tuple[dict[str, dict[int, Path]], str]]:
    """Case id to channel to file, in every way that the names allow; plain names first."""
    for ending in _IMAGE_ENDINGS:
        if all(stem.lower().endswith(ending) for stem in images):
            end = len(ending)
            yield {stem[: len(stem) - end]: {0: path} for stem, path in images.items()}, ""
    found = {path: _CHANNEL.fullmatch(stem) for stem, path in images.items()}
    if all(found.values()):
        grouped: dict[str, dict[int, Path]] = defaultdict(dict)
        for path, match in found.items():
            if match is not None:
                grouped[match["case"]][int(match["channel"])] = path
        yield dict(grouped), "nnU-Net"


def _endings(labels: Mapping[str, Path], grouped: Mapping[str, object]) -> Iterator[str]:
    """What labels may have after the case id: nothing, or an ending that is no number."""
    yield ""
    first = next(iter(labels))
    for case_id in grouped:
        ending = first.removeprefix(case_id)
        if ending != first and _LABEL_ENDING.fullmatch(ending):
            yield ending


def _check_channels(grouped: Mapping[str, Mapping[int, Path]], *, where: Path) -> None:
    num_channels = max(len(channels) for channels in grouped.values())
    for case_id, channels in grouped.items():
        if sorted(channels) != list(range(num_channels)):
            have = ", ".join(f"{channel:04d}" for channel in sorted(channels))
            raise InvalidValueError(
                f"Expected the {num_channels} channels 0000 to {num_channels - 1:04d} of every "
                f"case in {where}, but got {have} for {case_id!r}."
            )
