"""Proving a folder against its manifest: everything that is wrong, case by case."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from medkd.data.checks.picture_checks import PictureChecks
from medkd.data.checks.volume_checks import VolumeChecks
from medkd.data.transforms.check_case import CheckCased
from medkd.data.transforms.encode_label import EncodeLabeld
from medkd.data.transforms.field_of_view import FieldOfViewd
from medkd.errors import MissingFolderError
from medkd.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    import torch

    from medkd.data.manifests.manifest import Case, Manifest

__all__ = ["Finding", "check_cases", "find_unused_files"]

_LABELS = ("label", "label_2nd")
_MEASURED = ("validation", "test")  # splits that nothing can be measured on without labels
_SHOWN = 3  # unused files named in a warning before it says how many more there are


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, or looks wrong, with a data set.

    Args:
        severity: ``"error"`` must be mended before training; ``"warning"`` is worth a look.
        message: one sentence.
        case_id: the case it belongs to; empty if it belongs to none.
    """

    severity: Literal["error", "warning"]
    message: str
    case_id: str = ""


def check_cases(
    manifest: Manifest, dataset_dir: str | Path
) -> Iterator[tuple[Case, list[Finding]]]:
    """Read every file of every case and say what is wrong with it. No file is changed.

    Errors: a file that is missing, unreadable, or not the one whose SHA-256 the manifest states; a
    label or mask of another size than its image; label values outside the manifest; an image with
    NaN or all one value; an empty mask; the same image in two splits; a label of a volume that does
    not lie where its image does; an unlabeled case in ``validation`` or ``test``. Warnings: a label
    without any class but background; the same image twice within a split; a case in no split. Of an
    unlabeled case the image is checked alone.

    For pictures also warnings about a label that lies mostly outside its mask, as with an inverted
    mask, a gray picture where the manifest says color, and an EXIF orientation; for volumes about
    an orientation other than that of most, voxel sides more than a factor of two from the median,
    a header whose sform and qform disagree or that states neither, other units than mm, a label
    stored scaled, and NIfTI-2. One case is in memory at a time.

    Args:
        manifest: what the folder should hold.
        dataset_dir: the folder that the manifest's paths are relative to.

    Yields:
        Each case in stored order with its findings, as soon as it is checked.

    Raises:
        OSError: if there is no such folder.
        ValueError: if the manifest has neither one nor three channels.

    Example:
        >>> from medkd.data import parse_manifest
        >>> manifest = parse_manifest(
        ...     {
        ...         "name": "one eye",
        ...         "channel_names": {"0": "gray"},
        ...         "labels": {"background": 0, "vessel": 1},
        ...         "label_values": {"0": 0, "255": 1},
        ...         "cases": [{"case_id": "a", "patient": "1", "image": "a.jpg", "label": "a.png"}],
        ...         "splits": {"train": ["a"]},
        ...     }
        ... )
        >>> for case, findings in check_cases(manifest, "."):
        ...     print(case.case_id, [finding.message for finding in findings])
        a ['The image a.jpg is missing.', 'The label a.png is missing.']
    """
    folder = Path(dataset_dir).expanduser()
    if not folder.is_dir():
        raise MissingFolderError(
            f"Expected `dataset_dir` to be a folder, but there is no folder {folder}."
        )
    checker = _CaseChecker(manifest, folder)
    for case in manifest.cases:
        yield case, checker.check(case)


def find_unused_files(manifest: Manifest, dataset_dir: str | Path) -> list[Finding]:
    """Images in the folders of the data set that no case uses, one warning a folder.

    Args:
        manifest: what the folder should hold.
        dataset_dir: the folder that the manifest's paths are relative to.

    Returns:
        The warnings, in the order of the folders' names.
    """
    root = Path(dataset_dir).expanduser()
    used = {root / path for c in manifest.cases for role in c.files for path in c.paths(role)}
    suffixes = (VolumeChecks if manifest.spatial_dims == 3 else PictureChecks).suffixes
    findings = []
    for folder in sorted({path.parent for path in used}):
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        unused = [f for f in files if f not in used and _is_image(f, suffixes)]
        if unused:
            names = ", ".join(path.name for path in unused[:_SHOWN])
            more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
            text = f"No case uses {names}{more} in the folder {folder}."
            findings.append(Finding("warning", text))
    return findings


class _Kind(Protocol):
    """What differs between pictures and volumes."""

    def read(self, key: str, paths: Sequence[Path]) -> torch.Tensor:
        """Image or plane ``(C, *spatial)`` of a file."""
        ...

    def doubts(self, case: Case, image: torch.Tensor | None) -> Iterator[str]:
        """Warnings about a case."""
        ...


class _CaseChecker:
    """Checks case after case, remembering the images seen, and collects instead of stopping."""

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.manifest = manifest
        self.folder = folder
        kind = VolumeChecks if manifest.spatial_dims == 3 else PictureChecks
        self.kind: _Kind = kind(manifest, folder)
        self.unit = "voxels" if manifest.spatial_dims == 3 else "pixels"
        self.split_of = {i: name for name, ids in manifest.splits.items() for i in ids}
        self.seen: dict[str, Case] = {}

    def check(self, case: Case) -> list[Finding]:
        """Everything that is wrong with one case, each thing once."""
        parts, errors = self._read(case)
        if not case.is_labeled and self.split_of.get(case.case_id) in _MEASURED:
            errors.append(f"The case has no label, which {self.split_of[case.case_id]} needs.")
        warnings = [] if case.case_id in self.split_of else ["The case is in no split."]
        warnings += _doubtful_labels(case, parts)
        warnings += self.kind.doubts(case, parts.get("image"))
        if "image" in parts:
            errors += _refused_parts(parts)
            twin_errors, twin_warnings = self._twins(case, parts["image"])
            errors += twin_errors
            warnings += twin_warnings
        # Several parts may be refused for one fault of the image, so each sentence counts once.
        found = [Finding("error", message, case.case_id) for message in dict.fromkeys(errors)]
        return found + [Finding("warning", message, case.case_id) for message in warnings]

    def _read(self, case: Case) -> tuple[dict[str, torch.Tensor], list[str]]:
        """The parts that are what the manifest says, and why the others are not."""
        parts, errors = {}, []
        for key in case.files:
            missing = [p for p in case.paths(key) if not (self.folder / p).is_file()]
            errors += [f"The {key} {relative} is missing." for relative in missing]
            if missing:
                continue
            errors += [
                f"The {key} {relative} is not the file whose SHA-256 is stated."
                for relative in case.paths(key)
                if not self._is_owners(relative)
            ]
            try:
                parts[key] = self._read_part(key, [self.folder / p for p in case.paths(key)])
            except (OSError, ValueError) as error:
                errors.append(str(error))
        return parts, errors

    def _is_owners(self, relative: str) -> bool:
        expected = self.manifest.checksums.get(relative)
        return expected is None or sha256_of(self.folder / relative) == expected

    def _read_part(self, key: str, paths: Sequence[Path]) -> torch.Tensor:
        """Image ``(C, *spatial)``, label of class indices or boolean mask ``(1, *spatial)``."""
        part: dict[Hashable, Any] = {key: self.kind.read(key, paths)}
        if key == "mask":
            return FieldOfViewd(keys=key)(part)[key]
        if key in _LABELS:
            return EncodeLabeld(key, self.manifest.label_values)(part)[key]
        return part[key]

    def _twins(self, case: Case, image: torch.Tensor) -> tuple[list[str], list[str]]:
        twin = self.seen.setdefault(_digest(image), case)
        if twin is case:
            return [], []
        split, other = self.split_of.get(case.case_id), self.split_of.get(twin.case_id)
        names = [", ".join(each.paths("image")) for each in (case, twin)]
        text = f"The image {names[0]} has the same {self.unit} as {names[1]}"
        if split == other:
            return [], [f"{text}."]
        return [f"{text}, which is in another split ({split}, {other})."], []


def _refused_parts(parts: Mapping[str, torch.Tensor]) -> Iterator[str]:
    """Why `CheckCased` would refuse the case, asked part by part to hear all of it."""
    case: dict[Hashable, Any] = {}
    case.update(parts.items())
    for key in parts:
        check = CheckCased(keys=tuple(dict.fromkeys(("image", key))))
        try:
            check(case)
        except ValueError as error:
            yield str(error)


def _doubtful_labels(case: Case, parts: Mapping[str, torch.Tensor]) -> Iterator[str]:
    mask = parts.get("mask")
    for key in (key for key in _LABELS if key in parts):
        foreground = parts[key] > 0
        name = f"The {key} {case.paths(key)[0]}"
        if not bool(foreground.any()):
            yield f"{name} has no class but background."
        elif mask is not None and _is_mostly_outside(foreground, mask):
            yield f"{name} lies mostly outside the mask: is the mask inverted?"


def _is_mostly_outside(foreground: torch.Tensor, mask: torch.Tensor) -> bool:
    if mask.shape != foreground.shape or not bool(mask.any()):  # errors of their own
        return False
    return int((foreground & mask).sum()) * 2 < int(foreground.sum())


def _digest(image: torch.Tensor) -> str:
    """SHA-256 of the values, slice by slice, so that no second volume is in memory."""
    values = np.asarray(image)
    digest = hashlib.sha256(repr(values.shape).encode())
    for channel in values:
        for part in np.moveaxis(channel, -1, 0):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _is_image(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes) and not path.name.startswith(".")
