"""The images of a folder, for inference."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from medkd._checks import check_at_least
from medkd.data.images.image_file_reader import SUFFIXES
from medkd.data.images.volume_formats import VOLUME_SUFFIXES, name_without_suffix
from medkd.errors import InvalidValueError, MissingFileError

__all__ = ["images_in"]

_SUFFIXES = {2: SUFFIXES, 3: VOLUME_SUFFIXES}
_CHANNEL = re.compile(r"(?P<case_id>.+)_(?P<channel>\d{4})")  # as nnU-Net names files


def images_in(
    folder: str | Path, pattern: str = "*", *, spatial_dims: int = 2, num_channels: int = 1
) -> list[dict[str, Any]]:
    """List the images of a folder.

    Args:
        folder: the folder.
        pattern: glob pattern relative to it; files of other kinds than images are passed over.
        spatial_dims: 2 for pictures, 3 for volumes.
        num_channels: of a volume. Above one, the files ``X_0000``, ``X_0001``, ... are the channels
            of case ``X``, as nnU-Net names them; a file without such an ending has all of them.

    Returns:
        ``{"case_id", "image"}`` each, by name. ``image`` is a path, or a list of paths, one a
        channel.

    Raises:
        FileNotFoundError: if the folder does not exist or holds no such image.
        ValueError: if two images differ in their suffix only, so that their results would have one
            name; if a case has fewer or more channels; or ``spatial_dims`` is neither 2 nor 3.
    """
    if spatial_dims not in _SUFFIXES:
        raise InvalidValueError(f"Expected `spatial_dims` to be 2 or 3, but got {spatial_dims}.")
    check_at_least(num_channels, 1, "num_channels")
    suffixes = _SUFFIXES[spatial_dims]
    files = sorted(
        path
        for path in Path(folder).glob(pattern)
        if path.is_file() and path.name.lower().endswith(suffixes)
    )
    if not files:
        raise MissingFileError(
            f"Expected images in {folder} (pattern {pattern!r}; one of {', '.join(suffixes)}), "
            "but found none."
        )
    items = _by_name(files)
    if spatial_dims == 3 and num_channels > 1:
        items = _join_channels(items, num_channels)
    return [{"case_id": case_id, "image": image} for case_id, image in items.items()]


def _by_name(files: list[Path]) -> dict[str, Any]:
    items: dict[str, Any] = {}
    for path in files:
        name = name_without_suffix(path)
        if name in items:
            raise InvalidValueError(
                f"Expected images with names of their own, but {items[name]} and {path} would "
                "both be saved under one name. Choose one kind with a pattern."
            )
        items[name] = str(path)
    return items


def _join_channels(items: dict[str, Any], num_channels: int) -> dict[str, Any]:
    """The files of each case, in the order of its channels."""
    cases: dict[str, dict[int, str]] = {}
    for name, path in items.items():
        match = _CHANNEL.fullmatch(name)
        if match is not None:
            cases.setdefault(match["case_id"], {})[int(match["channel"])] = path
    joined = {name: path for name, path in items.items() if _CHANNEL.fullmatch(name) is None}
    for case_id, channels in cases.items():
        if sorted(channels) != list(range(num_channels)) or case_id in joined:
            names = ", ".join(f"{case_id}_{number:04d}" for number in range(num_channels))
            found = [*channels.values(), *([joined[case_id]] if case_id in joined else [])]
            raise InvalidValueError(
                f"Expected the {num_channels} channels of a case as {names}, but got "
                f"{', '.join(found)}."
            )
        joined[case_id] = [channels[number] for number in range(num_channels)]
    return dict(sorted(joined.items()))
