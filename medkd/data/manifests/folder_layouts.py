"""The shapes in which folders of images and labels usually come."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from medkd.data.images.image_file_reader import SUFFIXES
from medkd.data.images.volume_formats import VOLUME_SUFFIXES
from medkd.data.manifests.dataset_json import DatasetFacts, read_dataset_json
from medkd.data.manifests.file_pairing import natural_order
from medkd.data.manifests.name_pairing import pair_names
from medkd.errors import InvalidValueError, MissingFolderError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["FolderLayout", "recognize_folder"]

_IMAGE_FOLDERS = ("imagesTr", "images", "image", "imgs", "img")
_LABEL_FOLDERS = (
    *("labelsTr", "labels", "label", "segmentations", "segmentation"),
    *("masks", "mask"),
)
_UNLABELED_FOLDERS = {"imagesTs": "labelsTs", "imagesVal": "labelsVal"}  # unless that is there
_ALL_SUFFIXES = tuple(dict.fromkeys((*SUFFIXES, *VOLUME_SUFFIXES)))


@dataclass(frozen=True)
class FolderLayout:
    """How the files of a folder belong together.

    Args:
        description: what was recognized, such as ``"nnU-Net, 2 channels: imagesTr, labelsTr"``.
        cases: ``case_id``, ``image`` (a path, or a list of one path a channel) and ``label`` of
            each case, then those without a label if they were asked for; paths are relative to the
            folder.
        facts: what a ``dataset.json`` states.
        left_out: a sentence on what belongs to no case; empty if nothing does.
    """

    description: str
    cases: tuple[dict[str, str | list[str]], ...]
    facts: DatasetFacts = field(default_factory=DatasetFacts)
    left_out: str = ""


def recognize_folder(folder: Path, *, unlabeled: bool = False) -> FolderLayout:
    """Recognize the Medical Segmentation Decathlon, nnU-Net, and plain folders of equal names.

    Images are in ``imagesTr``, ``images``, ``image`` or ``imgs``, labels in ``labelsTr``,
    ``labels``, ``segmentations``, ``masks`` or their singular. A label has its image's name, or
    that name and one ending for all (``_seg``, ``_label``, ``_gt``); images may end with ``_0000``,
    ``_0001``, the channels of nnU-Net. Hidden files, such as macOS's ``._*``, are passed over.

    Args:
        folder: the folder.
        unlabeled: keep images without a label, also those of ``imagesTs`` and ``imagesVal`` where
            there is no ``labelsTs`` or ``labelsVal`` that makes them a test set.

    Returns:
        What was recognized.

    Raises:
        OSError: if the folder is not there.
        ValueError: if it has no such folders, a label has no image, a channel is missing, or
            ``dataset.json`` is not understood.
    """
    if not folder.is_dir():
        raise MissingFolderError(f"Expected a folder with images, but there is no folder {folder}.")
    images, labels = (_find(folder, names) for names in (_IMAGE_FOLDERS, _LABEL_FOLDERS))
    if images is None or labels is None:
        there = ", ".join(sorted(path.name for path in _visible(folder) if path.is_dir()))
        raise InvalidValueError(
            f"Expected {folder} to have imagesTr and labelsTr, or images and labels, but got the "
            f"folders: {there or 'none'}; state patterns for the image and the label."
        )
    more = _unlabeled_folders(folder) if unlabeled else []
    paired = pair_names(_stems(images, *more), _stems(labels), where=folder)
    without = paired.unlabeled if unlabeled else ()
    described = folder / "dataset.json"
    facts = read_dataset_json(described) if described.is_file() else DatasetFacts()
    return FolderLayout(
        description=_describe(images, labels, kind=paired.kind, described=described.is_file()),
        cases=tuple(
            {
                "case_id": case_id,
                "image": _relative(folder, image),
                "label": _relative(folder, [label]),
            }
            for case_id, image, label in paired.cases
        )
        + tuple({"case_id": i, "image": _relative(folder, image)} for i, image in without),
        facts=facts,
        left_out=_left_out(
            folder,
            [] if unlabeled else [path for _, image in paired.unlabeled for path in image],
            kept=more,
        ),
    )


def _find(folder: Path, names: Sequence[str]) -> Path | None:
    """The first of some folders, whatever its letters' case."""
    there = {path.name.lower(): path for path in _visible(folder) if path.is_dir()}
    return next((there[name.lower()] for name in names if name.lower() in there), None)


def _unlabeled_folders(folder: Path) -> list[Path]:
    found = [
        _find(folder, (images,))
        for images, labels in _UNLABELED_FOLDERS.items()
        if _find(folder, (labels,)) is None
    ]
    return [path for path in found if path is not None]


def _visible(folder: Path) -> list[Path]:
    paths = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted(paths, key=lambda path: natural_order(path.name))


def _stems(*folders: Path) -> dict[str, Path]:
    """Name without suffix to file, of the files that are images."""
    stems: dict[str, Path] = {}
    for path in (path for folder in folders for path in _visible(folder)):
        ends = [s for s in _ALL_SUFFIXES if path.name.lower().endswith(s) and path.is_file()]
        if not ends:
            continue
        stem = path.name[: -max(map(len, ends))]
        if stem in stems:
            raise InvalidValueError(
                f"Expected one file of each name, but got {stems[stem]} and {path.name}."
            )
        stems[stem] = path
    if not stems:
        raise InvalidValueError(f"Expected images or volumes in {folders[0]}, but got none.")
    return stems


def _relative(folder: Path, paths: Sequence[Path]) -> str | list[str]:
    names = [path.relative_to(folder).as_posix() for path in paths]
    return names[0] if len(names) == 1 else names


def _describe(images: Path, labels: Path, *, kind: str, described: bool) -> str:
    decathlon = images.name == "imagesTr" and not kind
    name = "Medical Segmentation Decathlon" if decathlon else kind or "a plain folder"
    files = [images.name, labels.name, *(["dataset.json"] if described else [])]
    return f"{name}: {', '.join(files)}"


def _left_out(folder: Path, unlabeled: Sequence[Path], *, kept: Sequence[Path]) -> str:
    parts = []
    if unlabeled:
        first = unlabeled[0].relative_to(folder).as_posix()
        parts.append(
            f"{len(unlabeled)} images of no label ({first}{', ...' * (len(unlabeled) > 1)})"
        )
    found = ((name, _find(folder, (name,))) for name in _UNLABELED_FOLDERS)
    parts += [name for name, path in found if path is not None and path not in kept]
    return f"Left out: {', '.join(parts)}." if parts else ""
