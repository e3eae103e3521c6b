"""Overrides that name nothing, or a place that was not meant: MONAI accepts both in silence."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any

from monai.bundle.reference_resolver import ReferenceResolver

from medkd.errors import InvalidValueError
from medkd.texts import check_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["check_ids", "check_paths"]

_SEPARATOR = "::"
# MONAI adds the metadata under this id; keys with an underscore are its own (`_target_`).
_MONAI_PREFIX = "_"
_RENAMED = {
    "temperature": "`distillation_temperature`",
    "cache_rate": "`cache_gb`, gigabytes on the disk and in memory,",
    "evaluate::arguments": "the ids that it listed, each by itself",
    **{key: f'the word "{key}"' for key in ("image", "label", "mask", "soft_label", "pred")},
}
"""Ids that bundles once had, and what to write instead."""
# Sections whose entries are gone through one by one, so a new one is read: predictors are judged,
# features tapped and weighted.
_OPEN = frozenset({"predictors", "features", "teacher_features", "feature_weights"})


# What ids of paths are called.
_PATH = re.compile(r"(.*_)?(dir|root|file|path|manifest)")


def check_paths(config: Mapping[str, Any], parent: str = "") -> None:
    """Refuse paths that are not those which the user wrote.

    MONAI has made ``runs/out::1`` of ``--output_dir runs/out#1`` by now, and would fill that. An
    expression and a reference are left to their authors.

    Args:
        config: the configuration with all overrides merged.
        parent: the id it has, ``::`` at its end; empty for all of it.

    Raises:
        ValueError: naming the id, and what a path may be.

    Example:
        >>> check_paths({"output_dir": "runs/out"})
        >>> check_paths({"output_dir": "runs/out::1"})
        Traceback (most recent call last):
        medkd.errors.InvalidValueError: Expected `output_dir` to be a path without '#' and '::', ...
    """
    for key, value in config.items():
        name = f"{parent}{key}"
        if key.startswith(_MONAI_PREFIX):
            continue
        if isinstance(value, dict):
            check_paths(value, f"{name}{_SEPARATOR}")
        elif isinstance(value, str) and _PATH.fullmatch(key) and not _is_code(value):
            check_path(value, where=f"`{name}`")


def check_ids(config: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Refuse ids that a bundle's ``train.json`` does not have.

    An override may replace any value and may add an argument to a component, for MONAI builds the
    component with it and refuses a wrong one. It may add a predictor to be judged, or a feature to
    be tapped. What it may not do is invent any other id: nothing would read it.

    Args:
        config: the configuration with all overrides and overlays merged.
        known: the bundle's ``train.json`` as it stands.

    Raises:
        ValueError: naming the id and the nearest that exists.

    Example:
        >>> check_ids({"dropout": 0.3}, {"dropout": 0.1, "seed": 0})
        >>> check_ids({"droput": 0.3}, {"dropout": 0.1, "seed": 0})
        Traceback (most recent call last):
        medkd.errors.InvalidValueError: Expected an override of an id that exists, ... Did you ...
    """
    for name in _invented(config, known):
        if name in _RENAMED:
            raise InvalidValueError(
                f"Expected an override of an id that exists, but got `{name}`: it is "
                f"{_RENAMED[name]} now."
            )
        ids = [*_ids(known), *_RENAMED]
        near = difflib.get_close_matches(name, ids, n=1, cutoff=0.5)
        meant = [_RENAMED.get(one, f"`{one}`") for one in near]
        hint = f" Did you mean {meant[0]}?" if meant else f" There are: {', '.join(sorted(known))}."
        raise InvalidValueError(
            f"Expected an override of an id that exists, but got `{name}`.{hint}"
        )


def _invented(
    config: Mapping[str, Any], known: Mapping[str, Any], parent: str = ""
) -> Iterator[str]:
    for key, value in config.items():
        name = f"{parent}{key}"
        if key.startswith(_MONAI_PREFIX):
            continue
        if key not in known:
            yield name
        elif name not in _OPEN and _is_section(value) and _is_section(known[key]):
            yield from _invented(value, known[key], f"{name}{_SEPARATOR}")


def _is_code(value: str) -> bool:
    return value.startswith("$") or bool(ReferenceResolver.match_refs_pattern(value))


def _is_section(value: Any) -> bool:  # noqa: ANN401 - any JSON
    """A plain dictionary of ids; one with a ``_target_`` is a component and takes arguments."""
    return isinstance(value, dict) and "_target_" not in value


def _ids(config: Mapping[str, Any], parent: str = "") -> Iterator[str]:
    for key, value in config.items():
        yield f"{parent}{key}"
        if _is_section(value):
            yield from _ids(value, f"{parent}{key}{_SEPARATOR}")
