"""The rules for each field of a manifest, one function a field, one sentence a fault."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from medkd.errors import InvalidValueError
from medkd.texts import check_file_name, check_name, check_text, check_unlike_files, shown

__all__ = [
    "CASE_FILES",
    "check_keys",
    "paths_of",
    "read_cases",
    "read_channel_names",
    "read_checksums",
    "read_class_indices",
    "read_distance_unit",
    "read_label_values",
    "read_spatial_dims",
    "read_splits",
]

CASE_FILES = ("image", "label", "label_2nd", "mask")
_SHA256_DIGITS = 64


def check_keys(
    entry: object, *, where: str, required: Iterable[str], optional: Iterable[str]
) -> None:
    """Refuse an entry that is no object, misses a key or has one that means nothing here."""
    required = tuple(required)
    known = (*required, *optional)
    keys = _check_mapping(entry, where=where)
    missing = [key for key in required if key not in keys]
    if missing:
        raise InvalidValueError(f"Expected the key {missing[0]!r} in {where}, but it is missing.")
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise InvalidValueError(
                f"Expected the keys of {where} to be among {', '.join(known)}, "
                f"but got {shown(key)}{hint}."
            )


def read_spatial_dims(value: object) -> int:
    """2 for pictures, 3 for volumes."""
    if isinstance(value, bool) or value not in (2, 3):
        raise InvalidValueError(f"Expected `spatial_dims` to be 2 or 3, but got {shown(value)}.")
    return int(str(value))


def read_distance_unit(value: object) -> str:
    """``"mm"``, or ``"voxels"`` where the spacing is lost."""
    if value not in ("mm", "voxels"):
        raise InvalidValueError(
            f"Expected `distance_unit` to be 'mm' or 'voxels', but got {shown(value)}."
        )
    return str(value)


def read_channel_names(value: object) -> dict[int, str]:
    """Channel index to name, without gaps from 0."""
    names = {
        _read_index(key, where="the keys of `channel_names`"): check_name(
            name, where=f"channel {shown(key)} of `channel_names`"
        )
        for key, name in _check_mapping(value, where="`channel_names`").items()
    }
    if not names or sorted(names) != list(range(len(names))):
        raise InvalidValueError(
            f"Expected the keys of `channel_names` to count from '0' without gaps, "
            f"but got {[str(key) for key in names]}."
        )
    return names


def read_class_indices(value: object) -> dict[str, int]:
    """Class name to class index: background 0, at least one more, no gap, none twice."""
    labels = {
        check_name(name, where="every key of `labels`"): _read_index(
            index, where=f"class {shown(name)} of `labels`"
        )
        for name, index in _check_mapping(value, where="`labels`").items()
    }
    if labels.get("background") != 0:
        raise InvalidValueError(
            f"Expected `labels` to have 'background': 0, but got {labels.get('background')}."
        )
    if len(labels) < 2 or sorted(labels.values()) != list(range(len(labels))):
        raise InvalidValueError(
            "Expected `labels` to have two classes or more whose indices count from 0 without "
            f"gaps, but got {labels}."
        )
    return labels


def read_label_values(value: object, *, labels: Mapping[str, int]) -> dict[int, int]:
    """Stored value to class index: only known classes, and each class at least once."""
    values = {
        _read_index(stored, where="the keys of `label_values`"): _read_index(
            index, where=f"value {shown(stored)} of `label_values`"
        )
        for stored, index in _check_mapping(value, where="`label_values`").items()
    }
    for stored, index in values.items():
        if index not in labels.values():
            raise InvalidValueError(
                f"Expected `label_values` to lead to a class index of `labels` "
                f"({sorted(labels.values())}), but got {index} for the stored value {stored}."
            )
    for name, index in labels.items():
        if index not in values.values():
            raise InvalidValueError(
                f"Expected `label_values` to lead to every class, but got none for {shown(name)}."
            )
    return values


def read_cases(value: object, *, spatial_dims: int, num_channels: int) -> list[dict[str, Any]]:
    """``case_id``, ``patient`` and ``files`` of every case; no id, image or label twice.

    Ids that some disks take for one file are refused as well.

    A case may have no label: then it is unlabeled, and has no second one either.
    """
    if not isinstance(value, list) or not value:
        raise InvalidValueError(
            f"Expected `cases` to be a list of at least one case, but got {_kind(value)}."
        )
    cases = [_read_case(entry, position=position) for position, entry in enumerate(value, start=1)]
    ids = [case["case_id"] for case in cases]
    _refuse_twice(ids, what="every `case_id` of `cases`")
    check_unlike_files(ids, what="results of every `case_id`")
    for role in ("image", "label"):
        paths = (path for case in cases for path in paths_of(case["files"].get(role, ())))
        _refuse_twice(paths, what=f"every `{role}` of `cases`")
    for case in cases:
        _check_channels(case, spatial_dims=spatial_dims, num_channels=num_channels)
    return cases


def paths_of(files: str | tuple[str, ...]) -> tuple[str, ...]:
    """The paths of one part of a case: several where each channel is a file of its own."""
    return (files,) if isinstance(files, str) else files


def read_splits(value: object, *, patients: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Split name to case ids: none empty, ids known and in one place, patients likewise."""
    splits = {}
    for name, ids in _check_mapping(value, where="`splits`").items():
        check_file_name(name, where="every key of `splits`")
        if not isinstance(ids, list) or not ids:
            raise InvalidValueError(
                f"Expected the split {shown(name)} to be a list of at least one case id, "
                f"but got {_kind(ids)}."
            )
        for case_id in ids:
            if case_id not in patients:
                close = difflib.get_close_matches(str(case_id), patients, n=1)
                hint = f" (did you mean {close[0]!r}?)" if close else ""
                raise InvalidValueError(
                    f"Expected the split {shown(name)} to list ids of `cases`, "
                    f"but got {shown(case_id)}{hint}."
                )
        splits[name] = tuple(ids)
    if not splits:
        raise InvalidValueError("Expected `splits` to have at least one split, but got none.")
    _refuse_twice((i for ids in splits.values() for i in ids), what="every case id of `splits`")
    _refuse_shared_patients(splits, patients=patients)
    return splits


def read_checksums(value: object, *, known: Iterable[str]) -> dict[str, str]:
    """Relative path to SHA-256, for files that a case uses."""
    known, checksums = set(known), {}
    for path, entry in _check_mapping(value, where="`files`").items():
        if path not in known:
            raise InvalidValueError(
                f"Expected `files` to list files of `cases`, but got {shown(path)}."
            )
        check_keys(entry, where=f"{shown(path)} of `files`", required=("sha256",), optional=())
        digest = str(entry["sha256"]).lower()
        if len(digest) != _SHA256_DIGITS or set(digest) - set("0123456789abcdef"):
            raise InvalidValueError(
                f"Expected `sha256` of {shown(path)} to be {_SHA256_DIGITS} hexadecimal digits, "
                f"but got {shown(entry['sha256'])}."
            )
        checksums[path] = digest
    return checksums


def _read_case(entry: object, *, position: int) -> dict[str, Any]:
    where = f"case {position} of `cases`"
    if isinstance(entry, Mapping) and isinstance(entry.get("case_id"), str):
        where = f"case {shown(entry['case_id'])}"
    required = ("case_id", "patient", "image")
    check_keys(entry, where=where, required=required, optional=("label", "label_2nd", "mask"))
    fields: Mapping[str, object] = entry  # type: ignore[assignment]
    if "label_2nd" in fields and "label" not in fields:
        raise InvalidValueError(
            f"Expected a `label` beside the `label_2nd` of {where}, but it is missing."
        )
    return {
        # Results are written under the case's id.
        "case_id": check_file_name(fields["case_id"], where=f"`case_id` of {where}"),
        "patient": check_name(fields["patient"], where=f"`patient` of {where}"),
        "files": {
            role: _read_paths(fields[role], role=role, where=f"`{role}` of {where}")
            for role in CASE_FILES
            if role in fields
        },
    }


def _read_paths(value: object, *, role: str, where: str) -> str | tuple[str, ...]:
    """One path, or for the image a list of paths, one a channel."""
    if role == "image" and isinstance(value, (list, tuple)):
        if not value:
            raise InvalidValueError(f"Expected {where} to list at least one path, but got none.")
        return tuple(_read_path(path, where=where) for path in value)
    return _read_path(value, where=where)


def _check_channels(case: Mapping[str, Any], *, spatial_dims: int, num_channels: int) -> None:
    """All channels are in one file, or those of a volume in a file each."""
    image, where = case["files"]["image"], f"`image` of case {shown(case['case_id'])}"
    if spatial_dims == 2 and not isinstance(image, str):
        raise InvalidValueError(
            f"Expected {where} to be one path, but got a list: only volumes (`spatial_dims` 3) "
            "have a file for each channel."
        )
    if len(paths_of(image)) not in (1, num_channels):
        raise InvalidValueError(
            f"Expected {where} to list one path for each of the {num_channels} channels of "
            f"`channel_names`, but got {len(paths_of(image))}."
        )
    if spatial_dims == 3 and "mask" in case["files"]:
        raise InvalidValueError(
            f"Expected case {shown(case['case_id'])} to have no `mask`, because all voxels of a "
            f"volume count, but got {shown(case['files']['mask'])}."
        )


def _read_path(value: object, *, where: str) -> str:
    """A path that stays inside the data set's folder, on every system."""
    text = check_text(value, where=where, breaks=False)
    path = PurePosixPath(text)
    drive = PureWindowsPath(text).drive[:1].isalpha()
    absolute = path.is_absolute() or drive or text.startswith(("\\", "~"))
    if absolute or ".." in path.parts or "\\" in text:
        raise InvalidValueError(
            f"Expected {where} to be a path below the data set's folder with '/' between folders "
            f"and without '..', but got {shown(text)}."
        )
    return str(path)


def _read_index(value: object, *, where: str) -> int:
    """A whole number; JSON keys are texts, so ``"255"`` counts as 255."""
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.lstrip("-").isdigit()):
        raise InvalidValueError(f"Expected {where} to be whole numbers, but got {shown(value)}.")
    return int(text)


def _check_mapping(value: object, *, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidValueError(f"Expected {where} to be a JSON object, but got {_kind(value)}.")
    return value


def _refuse_twice(values: Iterable[str], *, what: str) -> None:
    value, count = next(iter(Counter(values).most_common(1)), ("", 0))
    if count > 1:
        raise InvalidValueError(f"Expected {what} once, but got {shown(value)} {count} times.")


def _refuse_shared_patients(
    splits: Mapping[str, tuple[str, ...]], *, patients: Mapping[str, str]
) -> None:
    """The rule that keeps a patient's left eye from being trained on and the right one tested."""
    seen: dict[str, tuple[str, str]] = {}
    for split, ids in splits.items():
        for case_id in ids:
            first_split, first_id = seen.setdefault(patients[case_id], (split, case_id))
            if first_split != split:
                raise InvalidValueError(
                    "Expected every patient in one split, but got patient "
                    f"{shown(patients[case_id])} in {shown(first_split)} ({shown(first_id)}) and "
                    f"in {shown(split)} ({shown(case_id)})."
                )


def _kind(value: object) -> str:
    """The value, or of a full list or dictionary what it is."""
    simple = isinstance(value, (str, int, float)) or not value
    return shown(value) if simple else type(value).__name__
