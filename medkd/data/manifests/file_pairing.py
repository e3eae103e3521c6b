"""Which files of a folder are one case, and whose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.data.manifests.manifest_fields import CASE_FILES
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["FilePatterns", "find_cases", "find_patient", "natural_order"]


@dataclass(frozen=True)
class FilePatterns:
    r"""How the files of a folder belong together.

    Files pair by what their patterns' wildcards stand for: with ``images/*.jpg`` and
    ``labels/*_1stHO.png``, the image ``images/Image_01L.jpg`` and the label
    ``labels/Image_01L_1stHO.png`` are the case ``Image_01L``. Where that does not do, ``pairing``
    finds the id in each path.

    Args:
        image: glob pattern of the images, relative to the folder, or several, one a channel.
            Without one the shape of the folder is recognized, and there is no other pattern.
        label: glob pattern of the labels.
        label_2nd: glob pattern of a second observer's labels; not every case needs one.
        mask: glob pattern of the field-of-view masks; not every case needs one.
        pairing: regular expression whose group ``id``, or first group, is the case id.
        patient: regular expression whose group ``patient``, or first group, is the patient,
            searched in the image's path relative to the folder. Without one every image is its own
            patient, unless the names say ``patient`` or the like and some patients have several.

    Raises:
        ValueError: if there is an image and no label, or any other pattern without an image.
    """

    image: str | Sequence[str] | None = None
    label: str | None = None
    label_2nd: str | None = None
    mask: str | None = None
    pairing: str | None = None
    patient: str | None = None

    def __post_init__(self) -> None:
        others = [
            role for role in (*CASE_FILES, "pairing") if getattr(self, role) and role != "image"
        ]
        if (self.image is None) != (self.label is None) or (self.image is None and others):
            missing = "label" if self.label is None and self.image is not None else "image"
            raise InvalidValueError(
                f"Expected a pattern for the image and for the label, but got none for the "
                f"{missing}."
            )


def find_cases(
    folder: Path, patterns: FilePatterns, *, unlabeled: bool = False
) -> list[dict[str, str | list[str]]]:
    r"""Pair the files of a folder to cases.

    Args:
        folder: the folder.
        patterns: which file is what.
        unlabeled: whether an image may have no label.

    Returns:
        ``case_id`` and the files of every case, in natural order of their ids; the image is a list
        of files where there is a pattern for each channel.

    Raises:
        ValueError: if a pattern finds nothing, a file pairs with no image or an image with no
            label that must have one, two files pair with one image, or the pairing does not match.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("1L.jpg", "1L_hand.png", "1R.jpg", "1R_hand.png"):
        ...     (folder / name).touch()
        >>> cases = find_cases(folder, FilePatterns("*.jpg", "*_hand.png"))
        >>> [(case["case_id"], case["label"]) for case in cases]
        [('1L', '1L_hand.png'), ('1R', '1R_hand.png')]
    """
    images = [patterns.image] if isinstance(patterns.image, str) else list(patterns.image or ())
    sought = {"image": images[0]} if images else {}
    sought |= {f"channel {i} of the image": pattern for i, pattern in enumerate(images) if i}
    sought |= {role: p for role in CASE_FILES[1:] if (p := getattr(patterns, role)) is not None}
    found = {
        role: _find_files(folder, pattern, pairing=patterns.pairing, role=role)
        for role, pattern in sought.items()
    }
    channels = list(sought)[: len(images)]
    pairs = [*([] if unlabeled else [("image", "label")]), *((role, "image") for role in found)]
    for role, other in (*pairs, *(("image", channel) for channel in channels)):
        _check_paired(found[role], found[other], role=role, other=other)
    return [
        {"case_id": i, "image": _one_or_list([found[channel][i] for channel in channels])}
        | {role: files[i] for role, files in found.items() if i in files and role not in channels}
        for i in sorted(found["image"], key=natural_order)
    ]


def find_patient(image: str, expression: str) -> str:
    """Whose an image is.

    Args:
        image: its path relative to the folder.
        expression: regular expression whose group ``patient``, or first group, is the patient.

    Returns:
        The patient.

    Raises:
        ValueError: if it is no regular expression with a group, or does not match.
    """
    match = _compile(expression).search(image)
    if match is None or not _group(match, "patient"):
        raise InvalidValueError(
            f"Expected the patient expression {expression!r} to match every image, but got {image}."
        )
    return _group(match, "patient")


def _one_or_list(paths: list[str]) -> str | list[str]:
    return paths[0] if len(paths) == 1 else paths


def _check_paired(
    files: Mapping[str, str], others: Mapping[str, str], *, role: str, other: str
) -> None:
    alone = sorted(files.keys() - others.keys(), key=natural_order)
    if alone:
        raise InvalidValueError(
            f"Expected a {other} for every {role}, but {len(alone)} of {len(files)} have none, the "
            f"first of them {files[alone[0]]} (case id {alone[0]!r}; a regular expression for the "
            "pairing may help)."
        )


def _find_files(folder: Path, pattern: str, *, pairing: str | None, role: str) -> dict[str, str]:
    """Case id to path relative to the folder."""
    expression = _compile(pairing) if pairing else _wildcards(pattern)
    files: dict[str, str] = {}
    for path in sorted(folder.glob(pattern)):
        if path.name.startswith("._"):  # what macOS leaves beside a file on other systems
            continue
        relative = path.relative_to(folder).as_posix()
        match = expression.search(relative)
        if match is None:
            raise InvalidValueError(
                f"Expected the pairing {expression.pattern!r} to match every {role}, "
                f"but got {relative}."
            )
        groups = [_group(match, "id")] if pairing else list(match.groups())
        case_id = "_".join(text.replace("/", "_") for text in groups if text) or path.stem
        if case_id in files:
            raise InvalidValueError(
                f"Expected one {role} a case, but got {files[case_id]} and {relative} for the case "
                f"id {case_id!r}."
            )
        files[case_id] = relative
    if not files:
        raise InvalidValueError(
            f"Expected files for the {role} pattern {pattern!r} in {folder}, got none."
        )
    return files


def _wildcards(pattern: str) -> re.Pattern[str]:
    """The glob pattern as a regular expression with a group for every star and question mark."""
    translated = {"**/": "(?:(.*)/)?", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    regular = (p if p.startswith("[") else translated.get(p, re.escape(p)) for p in pieces)
    return re.compile("".join(regular).replace("[!", "[^") + r"\Z")


def _compile(expression: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise InvalidValueError(
            f"Expected a regular expression, but got {expression!r} ({error})."
        ) from error
    if compiled.groups == 0:
        raise InvalidValueError(
            f"Expected a regular expression with a group in parentheses, but got {expression!r}."
        )
    return compiled


def _group(match: re.Match[str], name: str) -> str:
    return match.groupdict().get(name) or match.group(1) or ""


def natural_order(text: str) -> list[tuple[int, str]]:
    """Sort key that puts image 2 before image 10.

    Args:
        text: a name.

    Returns:
        Its runs of digits as numbers, the rest as text.

    Example:
        >>> sorted(["image 10", "image 2"], key=natural_order)
        ['image 2', 'image 10']
    """
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", text) if p]
