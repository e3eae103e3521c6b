"""A phantom's folder: whose it is, what it still misses, and its manifest, written last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.errors import InvalidValueError
from medkd.files import atomic_write
from medkd.progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["check_phantom_settings", "deal_cases", "fill_folder"]

_MANIFEST = "manifest.json"
_SETTINGS = "phantom.json"
_NO_FILE = ("case_id", "patient")


def check_phantom_settings(settings: Mapping[str, tuple[Any, int]]) -> None:
    """Refuse a setting that is no integer or too small.

    Args:
        settings: name of each setting to its value and the least value that it may have.

    Raises:
        ValueError: at the first that is out of range.

    Example:
        >>> check_phantom_settings({"seed": (-1, 0)})
        Traceback (most recent call last):
        ...
        medkd.errors.InvalidValueError: Expected `seed` to be an integer of at least 0, but got -1.
    """
    for name, (value, least) in settings.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            message = f"Expected `{name}` to be an integer of at least {least}, but got {value!r}."
            raise InvalidValueError(message)


def deal_cases(
    num_patients: Mapping[str, int], cases_of: Callable[[int], list[dict[str, str]]]
) -> dict[str, Any]:
    """The cases and splits of a manifest, a patient's cases all in one split.

    Args:
        num_patients: split name to its number of patients.
        cases_of: the cases of a patient, whose number counts from 0 over all splits.

    Returns:
        ``{"cases": [...], "splits": {name: [case_id, ...]}}``.
    """
    cases, splits, first = [], {}, 0
    for split, number in num_patients.items():
        chosen = [case for patient in range(first, first + number) for case in cases_of(patient)]
        splits[split] = [case["case_id"] for case in chosen]
        cases += chosen
        first += number
    return {"cases": cases, "splits": splits}


def fill_folder(
    dataset_dir: str | Path,
    *,
    settings: Mapping[str, Any],
    manifest: Mapping[str, Any],
    write_case: Callable[[Path, dict[str, str]], None],
    title: str,
) -> str:
    """Writes what is missing of a phantom into its folder, and returns its manifest.

    The settings are written first and the manifest last: a call that was interrupted is completed
    by the next one, and a finished folder is used as it is.

    Args:
        dataset_dir: folder for the data set: a new or empty one, or one that holds this phantom.
        settings: all that the files follow from, as JSON keeps it.
        manifest: content of the manifest.
        write_case: writes the files of one case of the manifest, each whole or not at all.
        title: what the progress bar says.

    Returns:
        Path of ``manifest.json`` in ``dataset_dir``.

    Raises:
        ValueError: if ``dataset_dir`` is a file, holds anything else than this phantom, or holds it
            with other settings. Nothing is written then.
        OSError: if a file cannot be written.
    """
    folder = Path(dataset_dir)
    _check_folder(folder, settings)
    manifest_path = folder / _MANIFEST
    missing = [case for case in manifest["cases"] if not _is_complete(folder, case)]
    if missing or not manifest_path.is_file():
        _write_json(folder / _SETTINGS, settings)
        for case in progress(missing, desc=title, unit="image"):
            write_case(folder, case)
        _write_json(manifest_path, manifest)
    return str(manifest_path)


def _check_folder(folder: Path, settings: Mapping[str, Any]) -> None:
    """Raises unless the phantom of these settings may be written into ``folder``."""
    start = "Expected `dataset_dir` to be a new or empty folder, or one with this phantom, but"
    if folder.exists() and not folder.is_dir():
        raise InvalidValueError(f"{start} {folder} is a file.")
    if (folder / _SETTINGS).is_file():
        found = _read_settings(folder / _SETTINGS)
        differences = [
            f"{name} {found.get(name)!r} instead of {value!r}"
            for name, value in settings.items()
            if found.get(name) != value
        ]
        if differences:
            raise InvalidValueError(f"{start} {folder} holds one with {', '.join(differences)}.")
        return
    # An unfinished temporary file of the settings is the first thing a killed call can leave.
    names = sorted(item.name for item in folder.iterdir()) if folder.exists() else []
    foreign = [name for name in names if not name.startswith(f".{_SETTINGS}.")]
    if foreign:
        raise InvalidValueError(f"{start} {folder} holds other files, such as {foreign[0]}.")


def _read_settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # not JSON, or not even text
        return {}
    return settings if isinstance(settings, dict) else {}


def _is_complete(folder: Path, case: Mapping[str, str]) -> bool:
    # Every file takes its name only when it is whole.
    return all((folder / path).is_file() for key, path in case.items() if key not in _NO_FILE)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with atomic_write(path, "w") as file:
        file.write(json.dumps(content, indent=2) + "\n")
