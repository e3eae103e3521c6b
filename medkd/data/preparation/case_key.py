"""What a prepared case depends on, in one name."""

from __future__ import annotations

import json
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import medkd
from medkd.data.preparation.file_digest import bytes_digest, file_digest
from medkd.data.preparation.transform_description import describe

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["case_key", "files_of"]

_PACKAGES = ("monai", "torch", "numpy", "scipy", "nibabel", "SimpleITK", "Pillow")


def case_key(item: Mapping[str, Any], description: str) -> str:
    """The name of a prepared case: another file, transform or version, another name.

    Args:
        item: ``case_id``, files and whatever else the transforms may read.
        description: of the transforms.

    Returns:
        64 hexadecimal digits. Where the files lie has no part in them.

    Raises:
        OSError: if a file cannot be read.
        Undescribable: if the item holds what cannot be told from another, such as a lambda.
    """
    parts = {
        "case": {key: _content(value) for key, value in sorted(item.items())},
        "transforms": description,
        "versions": {"medkd": medkd.__version__, **_versions()},
    }
    return bytes_digest(json.dumps(parts).encode())


def files_of(value: Any) -> list[Path]:  # noqa: ANN401 - any value of an item
    """The files that a value of an item names.

    Args:
        value: a path, a list of them, or something else.

    Returns:
        The files; none unless all are there.
    """
    several = isinstance(value, (list, tuple))
    paths = [Path(one) for one in (value if several else [value]) if isinstance(one, (str, Path))]
    all_are_paths = len(paths) == (len(value) if several else 1)
    return paths if all_are_paths and all(map(_is_file, paths)) else []


def _content(value: Any) -> Any:  # noqa: ANN401 - any value in, JSON out
    files = files_of(value)
    return ["files", *map(file_digest, files)] if files else describe([value])


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a text that is too long for a path
        return False


@cache
def _versions() -> dict[str, str]:
    return {package: version(package) for package in _PACKAGES}
