"""A manifest for a user's own folder, from the shape of the folder or patterns of file names."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.data.manifests.channel_proposal import name_modality, propose_channels, stored_dims
from medkd.data.manifests.file_pairing import FilePatterns, find_cases, find_patient
from medkd.data.manifests.folder_layouts import FolderLayout, recognize_folder
from medkd.data.manifests.label_proposal import (
    name_classes,
    propose_label_values,
    rank_label_values,
)
from medkd.data.manifests.manifest import Manifest, parse_manifest
from medkd.data.manifests.patient_split import recognize_patients, split_patients
from medkd.errors import MissingFolderError
from medkd.files import atomic_write
from medkd.texts import file_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["make_manifest", "write_manifest"]

_TRAIN = "train"
_FRACTIONS = {_TRAIN: 0.7, "validation": 0.1, "test": 0.2}
_Entry = dict[str, "str | list[str]"]


def make_manifest(
    dataset_dir: str | Path,
    patterns: FilePatterns | None = None,
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    label_values: Mapping[int, int] | None = None,
    channel_names: Sequence[str] | None = None,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    tolerant: bool = False,
    unlabeled: bool = False,
) -> Manifest:
    """Make the manifest of a folder of images and labels, pictures or volumes.

    Without patterns the folder's shape is recognized: the Medical Segmentation Decathlon, nnU-Net,
    or plain ``images`` and ``labels``, with what their ``dataset.json`` says of channels, classes
    and licence. What was decided is in the manifest's ``changes``. The result depends on the
    files and the arguments alone.

    Args:
        dataset_dir: the folder.
        patterns: which file is what, and whose.
        name: name of the data set; by default that of ``dataset.json``, else the folder's.
        class_names: names of the classes in the order of their index, ``background`` first.
        label_values: stored value to class index. By default those of ``dataset.json``, else the
            label files are read: in pictures 0 and 255, or 0 to C - 1, are understood, in volumes
            any whole numbers, in their order.
        channel_names: names of a volume's channels in their order, such as ``["CT"]``.
        fractions: split name to its share of the patients; 70 % ``train``, 10 % ``validation`` and
            20 % ``test`` by default.
        seed: seed of the shuffle that deals the patients to the splits.
        tolerant: pass over labels of volumes that cannot be read or hold fractions, for
            :func:`medkd.data.check_cases` to say so.
        unlabeled: keep images without a label, in ``train`` alone. The labeled cases are split as
            without them; an unlabeled image whose patient is in another split is left out.

    Returns:
        The manifest, which satisfies every rule of the format.

    Raises:
        OSError: if the folder is not there.
        ValueError: if the folder's shape is not recognized, files do not pair, a patient cannot be
            found, label values are not understood, or there are fewer patients than splits.
    """
    folder = Path(dataset_dir).expanduser()
    if not folder.is_dir():
        raise MissingFolderError(f"Expected a folder with images, but there is no folder {folder}.")
    patterns = patterns or FilePatterns()
    layout = (
        recognize_folder(folder, unlabeled=unlabeled)
        if patterns.image is None
        else FolderLayout(
            "files by patterns", tuple(find_cases(folder, patterns, unlabeled=unlabeled))
        )
    )
    images = [_as_list(case["image"]) for case in layout.cases]
    dims = stored_dims(folder / images[0][0])
    rule = patterns.patient or recognize_patients([image[0] for image in images])
    cases = [_with_patient(case, rule) for case in layout.cases]
    known = layout.facts.class_names
    if label_values is None and known:
        label_values = rank_label_values(known)
    if label_values is None:
        files = [str(c[role]) for c in cases for role in ("label", "label_2nd") if role in c]
        label_values = propose_label_values(folder, files, spatial_dims=dims, tolerant=tolerant)
    stated = channel_names or layout.facts.channel_names
    channels = propose_channels(folder, images, spatial_dims=dims, stated=stated)
    decided = [f"Made by `medkd data manifest` from {layout.description}.", layout.left_out]
    decided.append(_say_patients(rule, found=patterns.patient is None, seed=seed))
    splits = _split_cases(
        [case for case in cases if "label" in case], fractions=fractions or _FRACTIONS, seed=seed
    )
    cases, splits, said = _add_unlabeled(cases, splits)
    decided.append(said)
    content: dict[str, Any] = {
        **layout.facts.texts,
        "name": name or file_name(layout.facts.texts.get("name", folder.resolve().name)),
        "modality": name_modality(channels) if dims == 3 else "",
        "changes": " ".join(filter(None, decided)),
        "spatial_dims": dims,
        "channel_names": {str(i): channel for i, channel in enumerate(channels)},
        "labels": name_classes(label_values, names=class_names, known=known),
        "label_values": {str(stored): index for stored, index in label_values.items()},
        "cases": cases,
        "splits": splits,
    }
    return parse_manifest(content)


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
    if manifest.spatial_dims != 2:
        head["spatial_dims"] = manifest.spatial_dims
    if manifest.distance_unit != "mm":
        head["distance_unit"] = manifest.distance_unit
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


def _as_list(files: str | list[str]) -> list[str]:
    return [files] if isinstance(files, str) else files


def _with_patient(case: _Entry, rule: str | None) -> _Entry:
    case_id, image = str(case["case_id"]), _as_list(case["image"])[0]
    return {"case_id": case_id, "patient": find_patient(image, rule) if rule else case_id} | case


def _say_patients(rule: str | None, *, found: bool, seed: int) -> str:
    by = f"patients by {rule!r}{' (recognized)' * found}" if rule else "every case its own patient"
    return f"{by[0].upper()}{by[1:]}, dealt with seed {seed}."


def _split_cases(
    cases: Sequence[_Entry], *, fractions: Mapping[str, float], seed: int
) -> dict[str, list[str]]:
    ids = defaultdict(list)
    for case in cases:
        ids[str(case["patient"])].append(str(case["case_id"]))
    dealt = split_patients(ids, fractions=fractions, seed=seed)
    return {name: [i for patient in people for i in ids[patient]] for name, people in dealt.items()}


def _add_unlabeled(
    cases: Sequence[_Entry], splits: Mapping[str, list[str]]
) -> tuple[list[_Entry], dict[str, list[str]], str]:
    """The cases to keep, the splits with the unlabeled ones in ``train``, and what was done."""
    measured = {i for name, ids in splits.items() if name != _TRAIN for i in ids}
    people = {case["patient"] for case in cases if case["case_id"] in measured}
    kept = [case for case in cases if "label" in case or case["patient"] not in people]
    unlabeled = [str(case["case_id"]) for case in kept if "label" not in case]
    said = f"{len(unlabeled)} images without a label are for training." if unlabeled else ""
    if len(kept) < len(cases):
        number = len(cases) - len(kept)
        said += f" {number} images without a label are left out: their patients are measured on."
    more = {_TRAIN: [*splits.get(_TRAIN, ()), *unlabeled]} if unlabeled else {}
    return kept, {**splits, **more}, said.strip()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _block(key: str, brackets: str, rows: Sequence[str]) -> str:
    body = ",\n".join(f"    {row}" for row in rows)
    return f"  {_json(key)}: {brackets[0]}\n{body}\n  {brackets[1]}"
