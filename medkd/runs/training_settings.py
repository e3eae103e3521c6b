"""What a training depends on, so that one result is never taken for another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monai.bundle.reference_resolver import ReferenceResolver

from medkd.errors import InvalidValueError
from medkd.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from monai.bundle.config_parser import ConfigParser

__all__ = ["check_same_settings", "training_settings", "write_settings"]

# Where things lie, where they are computed and how they are watched: none of it changes weights.
_WITHOUT_EFFECT = frozenset(
    {
        "bundle_root",
        "cache_dir",
        "cache_gb",
        "config_file",
        "dataset_dir",
        "description",
        "device",
        "log_file",
        "members_dir",
        "mlflow",
        "model_file",
        "output_dir",
        "report_dir",
        "soft_labels_dir",
        "tensorboard",
        "training_dir",
        "val_interval",
        "validate",
    }
)


def training_settings(parser: ConfigParser, root: str = "train::trainer") -> dict[str, Any]:
    """Every id that a training refers to, directly or through others, with its definition.

    Only what is referred to counts: a member does not depend on the student's temperature, so a
    sweep of temperatures shares one ensemble.

    Args:
        parser: the configuration.
        root: the id of the engine.

    Returns:
        Ids to their definitions as they stand in the configuration, sorted; paths and devices are
        left out.
    """
    settings: dict[str, Any] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in settings or name.split("::")[0] in _WITHOUT_EFFECT or name not in parser:
            continue
        settings[name] = parser[name]
        waiting.extend(_references(settings[name]))
    return {name: settings[name] for name in sorted(settings)}


def check_same_settings(file: str | Path, settings: Mapping[str, Any]) -> None:
    """Refuse to go on with, or to reuse, what was trained with other settings.

    Args:
        file: where :func:`write_settings` put them; nothing to compare if it is not there.
        settings: those of now.

    Raises:
        ValueError: naming what changed, and what to do.
    """
    path = Path(file)
    if not path.is_file():
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    now = json.loads(json.dumps(settings, default=str))
    # A name that only `before` has was referred to by a definition that has changed, or is known
    # only once training begins.
    changed = [name for name in sorted(now) if before.get(name) != now[name]]
    if changed:
        shown = "; ".join(_change(name, before.get(name), now[name]) for name in changed[:3])
        raise InvalidValueError(
            f"Expected {path.parent} to hold a training with the same settings, but {shown}. "
            "Choose another --output_dir, or remove that folder to train again."
        )


def write_settings(file: str | Path, settings: Mapping[str, Any]) -> None:
    """Write settings as JSON.

    Args:
        file: the file to write or replace.
        settings: of :func:`training_settings`.
    """
    with atomic_write(file, "w") as stream:
        json.dump(settings, stream, indent=1, default=str)


def _references(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, str):
        yield from ReferenceResolver.match_refs_pattern(value)


def _change(name: str, before: Any, now: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(before, (dict, list)) or isinstance(now, (dict, list)):
        return f"`{name}` has changed"
    return f"`{name}` was {before!r} and is {now!r}"
