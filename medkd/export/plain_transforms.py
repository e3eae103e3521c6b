"""From the transforms of a run to transforms that run where medkd is not installed."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["plain_transforms"]

_PACKAGE = "medkd."
_TARGET = "_target_"
_READER = "medkd.data.VolumeFileReader"  # reads what MONAI's own reads, and refuses more
_LEFT_OUT = ("medkd.data.CheckCased",)  # refuses, and changes nothing
# MONAI 1.6 updates every key that begins with the image's name as if it were metadata (Spacingd),
# and MONAI Label keeps a text there.
_PATH, _ASIDE = "image_path", "path_of_image"
_BEFORE_SPACING = (
    {
        "_target_": "CopyItemsd",
        "_desc_": "MONAI 1.6's Spacingd would take MONAI Label's `image_path` for metadata",
        "keys": _PATH,
        "names": _ASIDE,
        "allow_missing_keys": True,
    },
    {"_target_": "DeleteItemsd", "keys": _PATH},
)
_AFTER_SPACING = (
    {
        "_target_": "CopyItemsd",
        "keys": _ASIDE,
        "names": _PATH,
        "allow_missing_keys": True,
    },
)


def plain_transforms(
    transforms: Sequence[dict[str, Any]], *, script_of: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Translate the deterministic transforms of an image.

    Checks are left out, volumes are read by MONAI's own reader, and what MONAI does not have
    becomes a script of the bundle. ``Spacingd`` is kept from MONAI Label's ``image_path``.

    Args:
        transforms: as in a run's ``inference.json``; not modified.
        script_of: from a target, ``medkd.data.FieldOfViewd``, to that of its copy in the bundle.

    Returns:
        The transforms, none of which names medkd.

    Example:
        >>> reader = {"_target_": "medkd.data.VolumeFileReader", "num_channels": 1}
        >>> transforms = [
        ...     {"_target_": "LoadImaged", "keys": "image", "reader": reader},
        ...     {"_target_": "medkd.data.CheckCased", "keys": "image"},
        ...     {"_target_": "medkd.data.FieldOfViewd", "keys": "mask"},
        ... ]
        >>> for transform in plain_transforms(transforms, script_of=lambda target: "scripts.x"):
        ...     print(transform)
        {'_target_': 'LoadImaged', 'keys': 'image'}
        {'_target_': 'scripts.x', 'keys': 'mask'}
    """
    plain: list[dict[str, Any]] = []
    for transform in transforms:
        if transform[_TARGET] in _LEFT_OUT:
            continue
        one = copy.deepcopy(transform)
        if isinstance(one.get("reader"), dict) and one["reader"][_TARGET] == _READER:
            del one["reader"]
        one = _with_scripts(one, script_of)
        around = one[_TARGET] == "Spacingd"
        plain += [*(_BEFORE_SPACING if around else ()), one, *(_AFTER_SPACING if around else ())]
    return copy.deepcopy(plain)


def _with_scripts(value: Any, script_of: Callable[[str], str]) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return [_with_scripts(entry, script_of) for entry in value]
    if not isinstance(value, dict):
        return value
    return {
        key: script_of(entry)
        if key == _TARGET and entry.startswith(_PACKAGE)
        else _with_scripts(entry, script_of)
        for key, entry in value.items()
    }
