"""What the ``dataset.json`` of the Medical Segmentation Decathlon and of nnU-Net says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medkd.errors import InvalidValueError
from medkd.texts import check_name, check_text, shown

__all__ = ["DatasetFacts", "read_dataset_json"]

_TEXTS = {  # key of a manifest: keys of a dataset.json, the first that is there counts
    "name": ("name",),
    "description": ("description",),
    "source": ("reference",),
    "license": ("licence", "license"),
    "citation": ("citation",),
}


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of a data set beside its files.

    Args:
        texts: ``name``, ``description``, ``source``, ``license`` and ``citation``, where stated.
        channel_names: names of the image channels in their order; empty if not stated.
        class_names: stored label value to the name of its class; empty if not stated.
    """

    texts: dict[str, str] = field(default_factory=dict)
    channel_names: tuple[str, ...] = ()
    class_names: dict[int, str] = field(default_factory=dict)


def read_dataset_json(path: str | Path) -> DatasetFacts:
    """Read a ``dataset.json``, in the Decathlon's or in nnU-Net's order of labels.

    Args:
        path: the file.

    Returns:
        What it states.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is not JSON, its labels are not understood, or it has regions or an ignore
            label, which no class index can say.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "dataset.json"
        >>> _ = path.write_text('{"modality": {"0": "CT"}, "labels": {"0": "bg", "1": "spleen"}}')
        >>> facts = read_dataset_json(path)
        >>> facts.channel_names, facts.class_names
        (('CT',), {0: 'bg', 1: 'spleen'})
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise InvalidValueError(f"Expected {path} to be JSON, but got: {error}.") from error
    if not isinstance(content, Mapping):
        raise InvalidValueError(
            f"Expected {path} to be a JSON object, but got {type(content).__name__}."
        )
    texts = {key: _text(content, keys, path=path) for key, keys in _TEXTS.items()}
    return DatasetFacts(
        texts={key: text for key, text in texts.items() if text},
        channel_names=_channel_names(content, path=path),
        class_names=_class_names(content.get("labels", {}), path=path),
    )


def _text(content: Mapping[str, Any], keys: tuple[str, ...], *, path: Path) -> str:
    texts = (content[key].strip() for key in keys if isinstance(content.get(key), str))
    return check_text(next(filter(None, texts), ""), where=f"`{keys[0]}` of {path}", empty=True)


def _channel_names(content: Mapping[str, Any], *, path: Path) -> tuple[str, ...]:
    names = content.get("channel_names") or content.get("modality") or {}
    if isinstance(names, list):
        names = {str(index): name for index, name in enumerate(names)}
    if not isinstance(names, Mapping) or sorted(names) != sorted(map(str, range(len(names)))):
        raise InvalidValueError(
            f"Expected the channels of {path} to be numbered from '0' without gaps, "
            f"but got {shown(names)}."
        )
    return tuple(
        check_name(str(names[str(index)]), where=f"channel {index} of {path}")
        for index in range(len(names))
    )


def _class_names(labels: object, *, path: Path) -> dict[int, str]:
    """Stored value to name, whichever of the two is the key."""
    if not isinstance(labels, Mapping):
        raise InvalidValueError(
            f"Expected `labels` of {path} to be a JSON object, but got {shown(labels)}."
        )
    if all(_is_index(key) for key in labels):
        return {
            int(key): check_name(str(name), where=f"class {key} of {path}")
            for key, name in labels.items()
        }
    for name, value in labels.items():
        check_name(name, where=f"every class of {path}")
        if isinstance(value, list):
            raise InvalidValueError(
                f"Expected every label of {path} to be one class, but got the region {shown(name)} "
                f"of the values {shown(value)}: label files with one class a voxel are needed."
            )
        if str(name).lower() == "ignore":
            raise InvalidValueError(
                f"Expected every voxel of {path} to have a class, but got an ignore label "
                f"({shown(value)}), which is not supported."
            )
        if not _is_index(value):
            raise InvalidValueError(
                f"Expected `labels` of {path} to pair names with whole numbers, but got "
                f"{shown(name)}: {shown(value)}."
            )
    return {int(value): name for name, value in labels.items()}


def _is_index(value: object) -> bool:
    return not isinstance(value, bool) and str(value).isdecimal()
