"""Which files of a folder are one case, and whose."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.data.manifest_fields import CASE_FILES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["FilePatterns", "find_cases", "natural_order"]


@dataclass(frozen=True)
class FilePatterns:
    r"""How the files of a folder belong together.

    Files pair by what their patterns' wildcards stand for: with ``images/*.jpg`` and
    ``labels/*_1stHO.png``, the image ``images/Image_01L.jpg`` and the label
    ``labels/Image_01L_1stHO.png`` are the case ``Image_01L``. Where that does not do, ``pairing``
    finds the id in each path.

    Args:
        image: glob pattern of the images, relative to the folder.
        label: glob pattern of the labels.
        label_2nd: glob pattern of a second observer's labels; not every case needs one.
        mask: glob pattern of the field-of-view masks; not every case needs one.
        pairing: regular expression whose group ``id``, or first group, is the case id.
        patient: regular expression whose group ``patient``, or first group, is the patient,
            searched in the image's path relative to the folder. Without one every image is its own
            patient.
    """

    image: str
    label: str
    label_2nd: str | None = None
    mask: str | None = None
    pairing: str | None = None
    patient: str | None = None


def find_cases(folder: Path, patterns: FilePatterns) -> list[dict[str, str]]:
    r"""Pair the files of a folder to cases.

    Args:
        folder: the folder.
        patterns: which file is what.

    Returns:
        ``case_id``, ``patient`` and the files of every case, in natural order of their ids.

    Raises:
        ValueError: if a pattern finds nothing, a file pairs with no image or an image with no
            label, two files pair with one image, or an expression does not match.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("1L.jpg", "1L_hand.png", "1R.jpg", "1R_hand.png"):
        ...     (folder / name).touch()
        >>> patterns = FilePatterns("*.jpg", "*_hand.png", patient=r"(\d+)[LR]")
        >>> [(case["case_id"], case["patient"]) for case in find_cases(folder, patterns)]
        [('1L', '1'), ('1R', '1')]
    """
    found: dict[str, dict[str, str]] = {}
    for role in CASE_FILES:
        pattern = getattr(patterns, role)
        if pattern is not None:
            found[role] = _find_files(folder, pattern, pairing=patterns.pairing, role=role)
    for role, other in (("image", "label"), *((role, "image") for role in found)):
        _check_paired(found[role], found[other], role=role, other=other)
    return [
        {"case_id": i, "patient": _find_patient(found["image"][i], patterns.patient, case_id=i)}
        | {role: files[i] for role, files in found.items() if i in files}
        for i in sorted(found["image"], key=natural_order)
    ]


def _check_paired(
    files: Mapping[str, str], others: Mapping[str, str], *, role: str, other: str
) -> None:
    alone = sorted(files.keys() - others.keys(), key=natural_order)
    if alone:
        raise ValueError(
            f"Expected a {other} for every {role}, but {len(alone)} of {len(files)} have none, the "
            f"first of them {files[alone[0]]} (case id {alone[0]!r}; a regular expression for the "
            "pairing may help)."
        )


def _find_files(folder: Path, pattern: str, *, pairing: str | None, role: str) -> dict[str, str]:
    """Case id to path relative to the folder."""
    expression = _compile(pairing) if pairing else _wildcards(pattern)
    files: dict[str, str] = {}
    for path in sorted(folder.glob(pattern)):
        relative = path.relative_to(folder).as_posix()
        match = expression.search(relative)
        if match is None:
            raise ValueError(
                f"Expected the pairing {expression.pattern!r} to match every {role}, "
                f"but got {relative}."
            )
        groups = [_group(match, "id")] if pairing else list(match.groups())
        case_id = "_".join(text.replace("/", "_") for text in groups if text) or path.stem
        if case_id in files:
            raise ValueError(
                f"Expected one {role} a case, but got {files[case_id]} and {relative} for the case "
                f"id {case_id!r}."
            )
        files[case_id] = relative
    if not files:
        raise ValueError(
            f"Expected files for the {role} pattern {pattern!r} in {folder}, got none."
        )
    return files


def _wildcards(pattern: str) -> re.Pattern[str]:
    """The glob pattern as a regular expression with a group for every star and question mark."""
    translated = {"**/": "(?:(.*)/)?", "**": "(.*)", "*": "([^/]*)", "?": "([^/])"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]]*\])", pattern)
    regular = (p if p.startswith("[") else translated.get(p, re.escape(p)) for p in pieces)
    return re.compile("".join(regular).replace("[!", "[^") + r"\Z")


def _find_patient(image: str, expression: str | None, *, case_id: str) -> str:
    if expression is None:
        return case_id
    match = _compile(expression).search(image)
    if match is None or not _group(match, "patient"):
        raise ValueError(
            f"Expected the patient expression {expression!r} to match every image, but got {image}."
        )
    return _group(match, "patient")


def _compile(expression: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(expression)
    except re.error as error:
        raise ValueError(
            f"Expected a regular expression, but got {expression!r} ({error})."
        ) from error
    if compiled.groups == 0:
        raise ValueError(
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
