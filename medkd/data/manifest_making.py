"""A manifest for a user's own folder, from patterns of file names."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.data.file_pairing import FilePatterns, find_cases, natural_order
from medkd.data.image_file_reader import ImageFileReader, stored_channels
from medkd.data.manifest import Manifest, parse_manifest
from medkd.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["make_manifest", "split_patients", "write_manifest"]

_FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2}
_COLORS = {1: ("gray",), 3: ("red", "green", "blue")}
_MOST_CLASSES = 256


def make_manifest(
    dataset_dir: str | Path,
    patterns: FilePatterns,
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    label_values: Mapping[int, int] | None = None,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Manifest:
    """Make the manifest of a folder of images and labels.

    The result depends on the file names, the label files' values and the arguments alone.

    Args:
        dataset_dir: the folder.
        patterns: which file is what.
        name: name of the data set; the folder's name by default.
        class_names: names of the classes in the order of their index, ``background`` first.
        label_values: stored value to class index. By default the label files are read: 0 and 255,
            or 0 to C - 1, are understood.
        fractions: split name to its share of the patients; 70 % ``train``, 10 % ``validation`` and
            20 % ``test`` by default.
        seed: seed of the shuffle that deals the patients to the splits.

    Returns:
        The manifest, which satisfies every rule of the format.

    Raises:
        OSError: if the folder is not there.
        ValueError: if files do not pair, a patient cannot be found, label values are not
            understood, or there are fewer patients than splits.
    """
    folder = Path(dataset_dir).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(f"Expected a folder with images, but there is no folder {folder}.")
    cases = find_cases(folder, patterns)
    if label_values is None:
        labels = [case[role] for case in cases for role in ("label", "label_2nd") if role in case]
        label_values = _propose_label_values(folder, labels)
    num_classes = max(label_values.values()) + 1
    channels = _COLORS[stored_channels(folder / cases[0]["image"])]
    fractions = _FRACTIONS if fractions is None else fractions
    return parse_manifest(
        {
            "name": name or folder.resolve().name,
            "changes": f"Made by `medkd data manifest`; patients dealt with seed {seed}.",
            "channel_names": {str(i): channel for i, channel in enumerate(channels)},
            "labels": _name_classes(class_names, num_classes),
            "label_values": {str(stored): index for stored, index in label_values.items()},
            "cases": cases,
            "splits": _split_cases(cases, fractions=fractions, seed=seed),
        }
    )


def split_patients(
    patients: Iterable[str], *, fractions: Mapping[str, float], seed: int
) -> dict[str, list[str]]:
    """Deal patients to splits by shares, every split getting at least one.

    Args:
        patients: the patients; their order and repetitions do not matter.
        fractions: split name to its share; the shares are above 0 and sum to 1.
        seed: seed of the shuffle.

    Returns:
        Split name to its patients, in the order of their names.

    Raises:
        ValueError: if a share is not above 0, they do not sum to 1, or there are fewer patients
            than splits.

    Example:
        >>> shares = {"train": 0.7, "validation": 0.1, "test": 0.2}
        >>> splits = split_patients(map(str, range(14)), fractions=shares, seed=0)
        >>> [len(patients) for patients in splits.values()]
        [10, 1, 3]
    """
    if min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError(
            f"Expected `fractions` to be above 0 and to sum to 1, but got {dict(fractions)}."
        )
    people = sorted(set(patients), key=natural_order)
    if len(people) < len(fractions):
        raise ValueError(
            f"Expected at least one patient for each of the {len(fractions)} splits "
            f"({', '.join(fractions)}), but got {len(people)} patient(s)."
        )
    random.Random(seed).shuffle(people)
    splits, start, share = {}, 0, 0.0
    for position, (name, fraction) in enumerate(fractions.items(), start=1):
        share += fraction
        # Leave one patient for each split still to come, and take at least one.
        stop = min(round(share * len(people)), len(people) - (len(fractions) - position))
        stop = max(stop, start + 1)
        splits[name] = sorted(people[start:stop], key=natural_order)
        start = stop
    return splits


def write_manifest(manifest: Manifest, path: str | Path) -> None:
    """Write a manifest as readable JSON, one case a line.

    Args:
        manifest: what to write.
        path: the file to write or replace.

    Raises:
        OSError: if it cannot be written.
    """
    head: dict[str, Any] = {"name": manifest.name}
    for key in ("description", "modality", "source", "license", "citation", "changes"):
        if getattr(manifest, key):
            head[key] = getattr(manifest, key)
    for key in ("channel_names", "labels", "label_values"):
        head[key] = getattr(manifest, key)
    cases = [{"case_id": c.case_id, "patient": c.patient, **c.files} for c in manifest.cases]
    lines = [f"  {_json(key)}: {_json(value)}" for key, value in head.items()]
    lines.append(_block("cases", "[]", [_json(case) for case in cases]))
    rows = [f"{_json(name)}: {_json(ids)}" for name, ids in manifest.splits.items()]
    lines.append(_block("splits", "{}", rows))
    if manifest.checksums:
        sums = [f"{_json(p)}: {_json({'sha256': s})}" for p, s in manifest.checksums.items()]
        lines.append(_block("files", "{}", sums))
    with atomic_write(path, "w") as file:
        file.write("{\n" + ",\n".join(lines) + "\n}\n")


def _propose_label_values(folder: Path, labels: Sequence[str]) -> dict[int, int]:
    reader = ImageFileReader(num_channels=1)
    values: set[float] = set()
    for path in labels:
        values |= set(np.unique(reader.get_data((folder / path,))[0]).tolist())
        if len(values) > _MOST_CLASSES:
            break
    if values == {0, 255}:
        return {0: 0, 255: 1}
    if len(values) > 1 and values == set(range(len(values))):
        return {index: index for index in range(len(values))}
    shown = ", ".join(f"{value:g}" for value in sorted(values)[:10])
    raise ValueError(
        f"Expected the labels to hold the values 0 and 255, or 0 to C - 1, but got {shown}"
        f"{' and more' if len(values) > 10 else ''}; state `label_values`."
    )


def _name_classes(names: Sequence[str] | None, num_classes: int) -> dict[str, int]:
    if names is None:
        others = (
            ["foreground"] if num_classes == 2 else [f"class_{i}" for i in range(1, num_classes)]
        )
        names = ["background", *others]
    if len(names) != num_classes or len(set(names)) != len(names):
        raise ValueError(f"Expected {num_classes} different class names, but got {list(names)}.")
    return {name: index for index, name in enumerate(names)}


def _split_cases(
    cases: Sequence[Mapping[str, str]], *, fractions: Mapping[str, float], seed: int
) -> dict[str, list[str]]:
    ids = defaultdict(list)
    for case in cases:
        ids[case["patient"]].append(case["case_id"])
    dealt = split_patients(ids, fractions=fractions, seed=seed)
    return {name: [i for patient in people for i in ids[patient]] for name, people in dealt.items()}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _block(key: str, brackets: str, rows: Sequence[str]) -> str:
    body = ",\n".join(f"    {row}" for row in rows)
    return f"  {_json(key)}: {brackets[0]}\n{body}\n  {brackets[1]}"
