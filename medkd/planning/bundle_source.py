"""From one source to all bundles: a family's files once, and what a method changes on top.

``make bundles`` writes the stand-alone files of every bundle; ``medkd plan`` starts from the same
source in memory.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser

from medkd.errors import InvalidValueError, MissingFileError
from medkd.files import atomic_write, bundle_names, bundle_source
from medkd.planning.inference_config import inference_config
from medkd.planning.json_layout import format_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["compose_bundle", "merge", "write_bundles"]

_BASE, _REMOVED, _MERGED = "_base_", "_removed_", "_merged_"
_CHANGED, _BEFORE = "_changed_", "_before_"
_OF_LISTS = frozenset({_REMOVED, _CHANGED, _BEFORE})
_KEPT = "_kept_"  # instead of a value
_TRAIN, _INFERENCE = "train.json", "inference.json"
_LOGGING = "logging.conf"


def compose_bundle(name: str, *, source: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """Every JSON file of a bundle.

    A file of the source names another one in ``_base_``, or several, each on top of the one before,
    relative to itself, and says what is different; see :func:`merge`. ``inference.json`` is the
    frame of a prediction; transforms, network and windows come from ``train.json`` by
    :func:`medkd.planning.inference_config`.

    Args:
        name: of the bundle, one of :func:`medkd.files.bundle_names`, or a folder of the source that
            is a template of ``medkd plan`` alone.
        source: the folder of the source; by default the one that came with medkd.

    Returns:
        File name relative to the bundle's folder to its content. Overlays for a data set lie in the
        folder ``datasets`` of the source, and beside the others in the bundle.

    Raises:
        FileNotFoundError: if there is no such bundle.
        ValueError: if a file changes what its base does not have.
    """
    folder = Path(source or bundle_source()) / name
    if not (folder / _TRAIN).is_file():
        raise MissingFileError(f"Expected a bundle in {folder}, but there is no {_TRAIN}.")
    configs = {
        str(path.relative_to(folder)): _read(path) for path in sorted(folder.rglob("*.json"))
    }
    configs[_INFERENCE] = inference_config(configs[_TRAIN], configs[_INFERENCE])
    return configs


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """An overlay on top of a configuration.

    A section in both is merged, and so is a component (``_target_``) of one class, or of another
    that says ``_merged_``; all else is replaced. ``_removed_`` lists names that go. A new name goes
    behind the one that stands before it in the overlay, which may be there for this alone: its
    value is ``"_kept_"`` then; a new one with none before it comes first. A list is replaced as a
    whole, or changed by what addresses its components by the names of their classes:
    ``_removed_``, ``_changed_``, class name to what is different, and ``_before_``, class name to
    the entries that come before it.

    Args:
        base: a configuration; not modified.
        overlay: what is different; not modified.

    Returns:
        The merged configuration.

    Raises:
        ValueError: if a name to remove or to keep, or a class to change, is not there.

    Example:
        >>> base = {"a": 1, "b": {"c": 2, "d": 3}, "steps": [{"_target_": "x.Flip", "prob": 0.5}]}
        >>> overlay = {
        ...     "a": "_kept_",
        ...     "new": 0,
        ...     "b": {"_removed_": ["d"], "c": 5},
        ...     "steps": {"_changed_": {"Flip": {"prob": 0.1}}},
        ... }
        >>> merge(base, overlay)
        {'a': 1, 'new': 0, 'b': {'c': 5}, 'steps': [{'_target_': 'x.Flip', 'prob': 0.1}]}
    """
    merged = {name: copy.deepcopy(value) for name, value in base.items()}
    for name in overlay.get(_REMOVED, []):
        if name not in merged:
            raise InvalidValueError(f"Expected `{name}` to be there to be removed, but it is not.")
        del merged[name]
    last = None
    for name, value in overlay.items():
        if name in (_BASE, _REMOVED, _MERGED):
            continue
        if value == _KEPT:
            if name not in merged:
                raise InvalidValueError(f"Expected `{name}` to be there to be kept, but it is not.")
        elif name in merged:
            merged[name] = _merged_value(merged[name], value)
        else:
            merged = _inserted(merged, name, copy.deepcopy(value), after=last)
        last = name
    return merged


def _merged_value(base: Any, value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(base, list) and isinstance(value, dict) and value.keys() <= _OF_LISTS:
        return _merged_list(base, value)
    if isinstance(base, dict) and isinstance(value, dict):
        is_same = value.get("_target_", base.get("_target_")) == base.get("_target_")
        if is_same or value.get(_MERGED):
            return merge(base, value)
    return copy.deepcopy(value)


def _merged_list(merged: list[Any], overlay: Mapping[str, Any]) -> list[Any]:
    """``merged`` is the copy that :func:`merge` made."""
    for name in overlay.get(_REMOVED, []):
        del merged[_place(merged, name)]
    for name, change in overlay.get(_CHANGED, {}).items():
        place = _place(merged, name)
        merged[place] = merge(merged[place], change)
    for name, entries in overlay.get(_BEFORE, {}).items():
        place = _place(merged, name)
        merged[place:place] = copy.deepcopy(entries)
    return merged


def _place(entries: list[Any], name: str) -> int:
    classes = [str(entry.get("_target_", "")).rpartition(".")[2] for entry in entries]
    if classes.count(name) != 1:
        raise InvalidValueError(f"Expected one {name} in a list to change, but got {classes}.")
    return classes.index(name)


def _inserted(
    config: dict[str, Any],
    name: str,
    value: Any,  # noqa: ANN401 - any JSON
    *,
    after: str | None,
) -> dict[str, Any]:
    if after is None:
        return {name: value, **config}
    ordered: dict[str, Any] = {}
    for known, content in config.items():
        ordered[known] = content
        if known == after:
            ordered[name] = value
    return ordered


def _read(path: Path, *, below: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A file of the source with its bases, on top of what is ``below``."""
    content: dict[str, Any] = ConfigParser.load_config_file(path)
    bases, merged = content.get(_BASE, []), dict(below or {})
    for base in [bases] if isinstance(bases, str) else bases:
        merged = _read(path.parent / base, below=merged)
    return merge(merged, content)


def write_bundles(folder: str | Path, *, source: str | Path | None = None) -> None:
    """Write the JSON files of all bundles, and what they log with.

    Args:
        folder: where the bundles lie, each in a folder of its own with its ``README.md``.
        source: the folder of the source; by default the one that came with medkd.
    """
    source = Path(source or bundle_source())
    for name in bundle_names():
        texts = {
            file.removeprefix("datasets/"): format_json(content)
            for file, content in compose_bundle(name, source=source).items()
        }
        texts[_LOGGING] = (source / _LOGGING).read_text(encoding="utf-8")
        for file, text in texts.items():
            with atomic_write(Path(folder) / name / file, "w") as stream:
                stream.write(text)
