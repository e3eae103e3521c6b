"""The manifest of a data set: which file is what, whose it is, and which split it belongs to."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.data.manifests.manifest_fields import (
    check_keys,
    paths_of,
    read_cases,
    read_channel_names,
    read_checksums,
    read_class_indices,
    read_distance_unit,
    read_label_values,
    read_spatial_dims,
    read_splits,
)
from medkd.errors import InvalidValueError, MissingFileError
from medkd.texts import check_file_name, check_text, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Case", "Manifest", "parse_manifest", "read_manifest"]

_REQUIRED = ("name", "channel_names", "labels", "label_values", "cases", "splits")
_TEXTS = ("description", "modality", "source", "license", "citation", "changes")
_OPTIONAL = (*_TEXTS, "spatial_dims", "distance_unit", "files")


@dataclass(frozen=True)
class Case:
    """One image with what belongs to it.

    Args:
        case_id: name of the case, unique in its manifest.
        patient: whose it is. Cases of one patient are always in the same split.
        files: ``"image"``, ``"label"`` unless the case is unlabeled, and optionally ``"label_2nd"``
            and ``"mask"`` to a path relative to the data set's folder, with ``/`` between folders;
            the image of a volume may be a tuple of paths, one a channel.
    """

    case_id: str
    patient: str
    files: dict[str, str | tuple[str, ...]]

    @property
    def is_labeled(self) -> bool:
        """Whether the case has a label, which images for semi-supervised training need not."""
        return "label" in self.files

    def paths(self, role: str) -> tuple[str, ...]:
        """The paths of one part, also where it is a single file.

        Args:
            role: a key of ``files``.

        Returns:
            One path, or one a channel.

        Example:
            >>> Case("a", "1", {"image": ("a_T1.nii.gz", "a_T2.nii.gz")}).paths("image")
            ('a_T1.nii.gz', 'a_T2.nii.gz')
        """
        return paths_of(self.files[role])


@dataclass(frozen=True)
class Manifest:
    """A data set as its manifest states it, checked.

    Args:
        name: short name of the data set.
        channel_names: image channel to its name, ``{0: "red", 1: "green", 2: "blue"}`` or
            ``{0: "CT"}``.
        labels: class name to class index; ``background`` is 0 and indices have no gap.
        label_values: value stored in a label file to class index; several values may be one class.
        cases: the cases in stored order.
        splits: split name to its case ids in stored order; no patient is in two splits.
        description: what is in the data set.
        modality: how the images were taken.
        source: where to get them.
        license: under which terms.
        citation: what to cite.
        changes: what this manifest decided or changed, and when.
        spatial_dims: 2 for pictures, 3 for volumes.
        distance_unit: of the volumes' spacing and so of every distance: ``"mm"``, or ``"voxels"``
            where the true spacing is lost.
        checksums: relative path to SHA-256, for the files that the owner does not change.
    """

    name: str
    channel_names: dict[int, str]
    labels: dict[str, int]
    label_values: dict[int, int]
    cases: tuple[Case, ...]
    splits: dict[str, tuple[str, ...]]
    description: str = ""
    modality: str = ""
    source: str = ""
    license: str = ""
    citation: str = ""
    changes: str = ""
    spatial_dims: int = 2
    distance_unit: str = "mm"
    checksums: dict[str, str] = field(default_factory=dict)

    @property
    def num_classes(self) -> int:
        """Number of classes, background included."""
        return len(self.labels)

    @property
    def num_channels(self) -> int:
        """Number of image channels."""
        return len(self.channel_names)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Class names in the order of their index."""
        return tuple(sorted(self.labels, key=self.labels.__getitem__))

    @property
    def written_label_values(self) -> tuple[int, ...]:
        """The value that a label map is written with for each class, in the order of its index.

        Where several stored values are one class, it is the one nearest to zero, so that 0 stays
        the background where it is one of them.

        Example:
            >>> content = {
            ...     "name": "scans",
            ...     "channel_names": {"0": "CT"},
            ...     "labels": {"background": 0, "kidney": 1, "tumor": 2},
            ...     "label_values": {"-1": 0, "0": 0, "4": 2, "7": 1, "9": 1},
            ...     "cases": [{"case_id": "a", "patient": "a", "image": "a.nii", "label": "l.nii"}],
            ...     "splits": {"train": ["a"]},
            ... }
            >>> parse_manifest(content).written_label_values
            (0, 7, 4)
        """
        return tuple(
            min((v for v, i in self.label_values.items() if i == index), key=lambda v: (abs(v), -v))
            for index in range(self.num_classes)
        )

    def split_cases(self, split: str) -> tuple[Case, ...]:
        """Cases of one split, in stored order.

        Args:
            split: name of a split.

        Returns:
            Its cases.

        Raises:
            ValueError: if there is no such split; it names those there are.
        """
        if split not in self.splits:
            known = ", ".join(repr(name) for name in self.splits)
            raise InvalidValueError(
                f"Expected `split` to be one of {known} for {self.name}, but got {split!r}."
            )
        by_id = {case.case_id: case for case in self.cases}
        return tuple(by_id[case_id] for case_id in self.splits[split])


def read_manifest(path: str | Path) -> Manifest:
    """Read and check the manifest of a data set.

    The format is described in ``data_manifests/README.md``. Nothing is looked up in the data set's
    folder: whether the files exist and hold what is promised, :func:`medkd.data.check_cases` says.

    Args:
        path: a JSON file.

    Returns:
        The manifest.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is not JSON (it names line and column) or breaks a rule of the format; one
            sentence that names the file, what was expected and what was found.

    Example:
        >>> import json, tempfile
        >>> content = {
        ...     "name": "two eyes",
        ...     "channel_names": {"0": "red", "1": "green", "2": "blue"},
        ...     "labels": {"background": 0, "vessel": 1},
        ...     "label_values": {"0": 0, "255": 1},
        ...     "cases": [
        ...         {"case_id": "a", "patient": "1", "image": "a.jpg", "label": "a.png"},
        ...         {"case_id": "b", "patient": "2", "image": "b.jpg", "label": "b.png"},
        ...     ],
        ...     "splits": {"train": ["a"], "test": ["b"]},
        ... }
        >>> path = Path(tempfile.mkdtemp()) / "eyes.json"
        >>> _ = path.write_text(json.dumps(content))
        >>> manifest = read_manifest(path)
        >>> manifest.num_classes, manifest.label_values, manifest.split_cases("test")[0].patient
        (2, {0: 0, 255: 1}, '2')
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise MissingFileError(
            f"Expected a manifest at {path}, but there is no such file."
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidValueError(
            f"Expected {path} to be a JSON text in UTF-8, but got {error}."
        ) from error
    try:
        content = json.loads(text, object_pairs_hook=_refuse_duplicates)
    except json.JSONDecodeError as error:
        raise InvalidValueError(
            f"Expected {path} to be JSON, but got {error.msg} in line {error.lineno}, "
            f"column {error.colno}."
        ) from error
    except ValueError as error:
        raise InvalidValueError(f"In manifest {path}: {error}") from error
    try:
        return parse_manifest(content)
    except ValueError as error:
        raise InvalidValueError(f"In manifest {path}: {error}") from error


def parse_manifest(content: Mapping[str, Any]) -> Manifest:
    """Check what a manifest says, given as the parsed JSON.

    Args:
        content: the JSON object.

    Returns:
        The manifest.

    Raises:
        ValueError: at the first rule of the format that is broken.

    Example:
        >>> parse_manifest({"name": "empty"})
        Traceback (most recent call last):
        ...
        medkd.errors.InvalidValueError: Expected the key 'channel_names' in the manifest, but ...
    """
    check_keys(content, where="the manifest", required=_REQUIRED, optional=_OPTIONAL)
    labels = read_class_indices(content["labels"])
    channel_names = read_channel_names(content["channel_names"])
    spatial_dims = read_spatial_dims(content.get("spatial_dims", 2))
    entries = read_cases(
        content["cases"], spatial_dims=spatial_dims, num_channels=len(channel_names)
    )
    cases = tuple(Case(**entry) for entry in entries)
    patients = {case.case_id: case.patient for case in cases}
    return Manifest(
        name=check_file_name(content["name"], where="`name`"),  # so are folders of reports
        channel_names=channel_names,
        labels=labels,
        label_values=read_label_values(content["label_values"], labels=labels),
        cases=cases,
        splits=read_splits(content["splits"], patients=patients),
        spatial_dims=spatial_dims,
        distance_unit=read_distance_unit(content.get("distance_unit", "mm")),
        checksums=read_checksums(
            content.get("files", {}),
            known={path for case in cases for role in case.files for path in case.paths(role)},
        ),
        **{key: check_text(content.get(key, ""), where=f"`{key}`", empty=True) for key in _TEXTS},
    )


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Python's JSON keeps the last of two equal keys in silence; that hides a copied line."""
    twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    if twice:
        raise InvalidValueError(
            f"Expected every key once in its object, but got {shown(twice[0])} twice."
        )
    return dict(pairs)
