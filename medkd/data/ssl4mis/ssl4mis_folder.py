"""What is in a folder of h5 files as UA-MT and SSL4MIS distribute data for few labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from medkd.data.manifests.manifest_fields import read_splits
from medkd.data.manifests.patient_split import PATIENT_WORDS
from medkd.errors import InvalidValueError, MissingFileError, MissingFolderError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Ssl4misCase", "Ssl4misFolder", "read_ssl4mis_folder"]

_TRAIN_LISTS = ("train_slices.list", "train.list")  # where both are there they say the same
_VALIDATION_LIST, _TEST_LIST = "val.list", "test.list"
_SUFFIX = ".h5"
_LEFT_ATRIUM = "mri_norm2"  # UA-MT's name of every file, in a folder named after the scan
_HELD_OUT = 2  # patients of the train list that become validation where no list says which
_SLICE = re.compile(r"(?P<volume>.+)_slice_(?P<number>\d+)")
_WHOLE = -1  # stands for the number of a slice where a file is the volume
_CARDIAC = re.compile(r"patient\d{3}_frame\d{2}")


@dataclass(frozen=True)
class Ssl4misCase:
    """A volume and whose it is.

    Args:
        case_id: the volume's name in the lists.
        patient: whose it is.
        files: the volume's only file, or those of its slices in their order.
    """

    case_id: str
    patient: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Ssl4misFolder:
    """Volumes and their splits.

    Args:
        cases: in the order in which the lists name them first. That of the train list is the
            published order, whose first patients are the labeled ones.
        splits: ``train``, ``validation`` and ``test`` to their case ids.
        data_set: ``"ACDC"`` or ``"LA"`` where names say so, else empty.
        decided: sentences on what the patients and the splits follow from.
    """

    cases: tuple[Ssl4misCase, ...]
    splits: dict[str, tuple[str, ...]]
    data_set: str
    decided: str


def read_ssl4mis_folder(folder: str | Path) -> Ssl4misFolder:
    """Find the volumes that the lists of a folder name, and deal them to splits.

    UA-MT's left atria are ``<id>/mri_norm2.h5``, SSL4MIS's hearts ``patient001_frame01.h5`` and, to
    train on, slices of such volumes, ``patient001_frame01_slice_1.h5``. Files may lie anywhere
    below the folder, lists lie in it: ``train_slices.list`` or ``train.list``, ``val.list`` and
    ``test.list``, one id a line. Of the latter two one is enough: then it is ``test``, and the last
    two patients of the train list are ``validation``, so that nothing need be chosen on ``test``.

    Args:
        folder: the folder.

    Returns:
        What is in it. No h5 file is opened.

    Raises:
        OSError: if the folder, a list or a file of a list is not there.
        ValueError: if a list names an id twice, or a patient of another list, an id has two files,
            slices have a gap, or there are too few patients.
    """
    folder = Path(folder).expanduser()
    lists = _read_lists(folder)
    paths = _find_files(folder)
    volumes = {n: _find_volumes(ids, paths, where=folder / n) for n, ids in lists.items()}
    files = {case_id: found[case_id] for found in volumes.values() for case_id in found}
    patients = {case_id: _find_patient(case_id) for case_id in files}
    dealt, said = _deal({name: list(found) for name, found in volumes.items()}, patients)
    first = next(iter(files))
    by = (
        "Every volume counts as its own patient."
        if patients[first] == first
        else f"Whose a volume is, its name says ({patients[first]} for {first})."
    )
    return Ssl4misFolder(
        cases=tuple(Ssl4misCase(i, patients[i], files[i]) for i in files),
        splits=read_splits(dealt, patients=patients),
        data_set=_recognize(files),
        decided=f"{by} {said}",
    )


def _read_lists(folder: Path) -> dict[str, list[str]]:
    """File name of each list to its ids, the train list first."""
    if not folder.is_dir():
        raise MissingFolderError(f"Expected a folder with lists, but there is no folder {folder}.")
    train = next((name for name in _TRAIN_LISTS if (folder / name).is_file()), None)
    others = [n for n in (_VALIDATION_LIST, _TEST_LIST) if (folder / n).is_file()]
    if train is None or not others:
        there = ", ".join(sorted(path.name for path in folder.glob("*.list"))) or "none"
        raise MissingFileError(
            f"Expected {folder} to have {' or '.join(_TRAIN_LISTS)}, and {_VALIDATION_LIST} or "
            f"{_TEST_LIST}, but got the lists: {there}."
        )
    return {name: _read_list(folder / name) for name in (train, *others)}


def _read_list(path: Path) -> list[str]:
    """The ids of a list; some write the file's path instead."""
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    ids = [_id_of(PurePosixPath(line.removesuffix(_SUFFIX))) for line in lines if line]
    if not ids or len(set(ids)) < len(ids):
        twice = next((i for i in ids if ids.count(i) > 1), "none")
        raise InvalidValueError(f"Expected {path} to name ids, each once, but got {twice!r}.")
    return ids


def _id_of(path: PurePosixPath | Path) -> str:
    """Of a path without suffix."""
    return path.parent.name if path.name == _LEFT_ATRIUM else path.name


def _find_files(folder: Path) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for path in sorted(folder.rglob(f"*{_SUFFIX}")):
        if path.name.startswith("."):
            continue
        name = _id_of(path.with_suffix(""))
        if name in paths:
            raise InvalidValueError(
                f"Expected one file of each id, but got {paths[name]} and {path}."
            )
        paths[name] = path
    return paths


def _find_volumes(
    ids: Sequence[str], paths: Mapping[str, Path], *, where: Path
) -> dict[str, tuple[Path, ...]]:
    """Volume to its files, in the order in which a list names the volumes first."""
    missing = [name for name in ids if name not in paths]
    if missing:
        raise MissingFileError(
            f"Expected a file {_SUFFIX} for each of the {len(ids)} ids of {where}, but "
            f"{len(missing)} have none, the first of them {missing[0]!r}."
        )
    numbered: dict[str, dict[int, Path]] = {}
    for name in ids:
        match = _SLICE.fullmatch(name)
        volume, number = (match["volume"], int(match["number"])) if match else (name, _WHOLE)
        numbered.setdefault(volume, {})[number] = paths[name]
    for volume, slices in numbered.items():
        _check_numbers(volume, sorted(slices), where=where)
    return {v: tuple(slices[n] for n in sorted(slices)) for v, slices in numbered.items()}


def _check_numbers(volume: str, numbers: Sequence[int], *, where: Path) -> None:
    if list(numbers) == [_WHOLE]:
        return
    first = numbers[0]
    if first not in (0, 1) or list(numbers) != list(range(first, first + len(numbers))):
        raise InvalidValueError(
            f"Expected the slices of {volume!r} in {where} to be numbered from 0 or 1 without "
            f"gaps, but got {', '.join('the whole' if n == _WHOLE else str(n) for n in numbers)}."
        )


def _find_patient(case_id: str) -> str:
    match = re.search(PATIENT_WORDS, f"{case_id}{_SUFFIX}")
    return case_id if match is None else match[1]


def _deal(
    lists: Mapping[str, list[str]], patients: Mapping[str, str]
) -> tuple[dict[str, list[str]], str]:
    """Splits to case ids, and a sentence on what they follow from."""
    (train, ids), *others = lists.items()
    if len(others) > 1:
        splits = {"train": ids, "validation": lists[_VALIDATION_LIST], "test": lists[_TEST_LIST]}
        return splits, f"Splits are those of {train}, {_VALIDATION_LIST} and {_TEST_LIST}."
    people = list(dict.fromkeys(patients[i] for i in ids))
    if len(people) <= _HELD_OUT:
        raise InvalidValueError(
            f"Expected {train} to have more than {_HELD_OUT} patients, of whom the last "
            f"{_HELD_OUT} become validation, but got {len(people)}."
        )
    held_out = people[-_HELD_OUT:]
    test, measured = others[0]
    splits = {
        "train": [i for i in ids if patients[i] not in held_out],
        "validation": [i for i in ids if patients[i] in held_out],
        "test": measured,
    }
    return splits, (
        f"Splits: train is {train} in its order, without its last {_HELD_OUT} patients "
        f"({', '.join(held_out)}), which are validation; test is {test}."
    )


def _recognize(files: Mapping[str, Sequence[Path]]) -> str:
    if all(path.stem == _LEFT_ATRIUM for paths in files.values() for path in paths):
        return "LA"
    return "ACDC" if all(_CARDIAC.fullmatch(case_id) for case_id in files) else ""
