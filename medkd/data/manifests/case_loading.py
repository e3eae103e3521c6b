"""From a manifest and a folder to the list of cases that MONAI's datasets take."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.data.manifests.manifest import read_manifest
from medkd.errors import InvalidValueError, MissingFileError, MissingFolderError

if TYPE_CHECKING:
    from medkd.data.manifests.manifest import Case

__all__ = ["load_cases"]


def load_cases(
    manifest: str | Path, dataset_dir: str | Path, *, split: str, unlabeled: bool = False
) -> list[dict[str, str | list[str]]]:
    """Cases of one split with the paths of their files.

    Made to be called from a bundle,
    ``"$medkd.data.load_cases(@manifest, @dataset_dir, split='train')"``.

    Args:
        manifest: path of a manifest.
        dataset_dir: folder that the manifest's paths are relative to; ``~`` is the user's home.
        split: name of a split of the manifest.
        unlabeled: whether a case may have no label, as for ``bundles/dmd``, which trains on
            unlabeled images as well.

    Returns:
        One item a case, in stored order: ``case_id``, ``patient`` and the paths ``image``,
        ``label`` and, where the case has them, ``mask`` and ``label_2nd``; an image with a file for
        each channel is a list of paths in the order of the channels. An unlabeled case has no
        ``label``. Each file exists.

    Raises:
        OSError: if the manifest, the folder or a file is not there; for files it names the first
            and says how many of the split are missing.
        ValueError: if the manifest breaks its format or has no such split, or a case of the split
            is unlabeled and must not be; it names the first and says how many.

    Example:
        >>> import json, tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("a.jpg", "a.png"):
        ...     (folder / name).touch()
        >>> case = {"case_id": "a", "patient": "1", "image": "a.jpg", "label": "a.png"}
        >>> content = {
        ...     "name": "one eye",
        ...     "channel_names": {"0": "gray"},
        ...     "labels": {"background": 0, "vessel": 1},
        ...     "label_values": {"0": 0, "255": 1},
        ...     "cases": [case],
        ...     "splits": {"train": ["a"]},
        ... }
        >>> _ = (folder / "eye.json").write_text(json.dumps(content))
        >>> cases = load_cases(folder / "eye.json", folder, split="train")
        >>> len(cases), sorted(cases[0]), Path(cases[0]["image"]).name
        (1, ['case_id', 'image', 'label', 'patient'], 'a.jpg')
    """
    cases = read_manifest(manifest).split_cases(split)
    without = [case.case_id for case in cases if not case.is_labeled]
    if without and not unlabeled:
        raise InvalidValueError(
            f"Expected every case of the split {split!r} of {manifest} to have a label, but "
            f"{len(without)} of {len(cases)} have none, the first of them {without[0]!r}; only "
            "bundles/dmd trains on unlabeled images (`unlabeled=True`)."
        )
    folder = Path(dataset_dir).expanduser()
    if not folder.is_dir():
        raise MissingFolderError(
            f"Expected `dataset_dir` to be a folder with the files of {manifest}, "
            f"but there is no folder {folder}."
        )
    everything = [folder / p for case in cases for role in case.files for p in case.paths(role)]
    missing = [path for path in everything if not path.is_file()]
    if missing:
        raise MissingFileError(
            f"Expected {len(everything)} files of the split {split!r} of {manifest}, "
            f"but {len(missing)} are missing, the first of them {missing[0]}."
        )
    return [
        {"case_id": case.case_id, "patient": case.patient, **_located(case, folder)}
        for case in cases
    ]


def _located(case: Case, folder: Path) -> dict[str, str | list[str]]:
    """The case's files where they are; several files of an image as a list, as MONAI takes them."""
    return {
        role: str(folder / files)
        if isinstance(files, str)
        else [str(folder / path) for path in files]
        for role, files in case.files.items()
    }
