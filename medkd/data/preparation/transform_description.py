"""Transforms as text, so that two that do the same are known to, and two that do not are not."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from medkd.data.preparation.file_digest import bytes_digest, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Undescribable", "describe"]

# What these do is told by their versions, which are part of a case's key.
_VERSIONED = {"monai", "torch", "numpy", "scipy", "nibabel", "SimpleITK", "PIL"}


class Undescribable(Exception):
    """Something whose doing cannot be told from what it holds, such as a lambda."""


def describe(transforms: Sequence[Any]) -> str:
    """All that transforms hold, as JSON: the values themselves, and not how they were written.

    A configuration may say the same words and mean something else, ``"$read_manifest(@manifest)"``
    of a manifest that has changed, so made transforms are described: their classes, and whatever
    they hold, at any depth. Of a class that is neither Python's nor of a package whose version is
    known, the file that it is defined in counts as well.

    Args:
        transforms: the transforms, in their order.

    Returns:
        The same text in every process for transforms that do the same.

    Raises:
        Undescribable: if one holds a lambda, an open file or the like.

    Example:
        >>> from monai.transforms import Flip
        >>> describe([Flip(0)]) == describe([Flip(0)])
        True
        >>> describe([Flip(0)]) == describe([Flip(1)])
        False
    """
    try:
        return json.dumps(_Description().of(list(transforms)))
    except RecursionError as error:
        raise Undescribable("a structure without an end") from error


class _Description:
    """One walk through objects; what was met before is named by its number."""

    def __init__(self) -> None:
        # They stay alive for the walk, or their ids could be given to others.
        self.met: dict[int, tuple[int, object]] = {}

    def of(self, value: Any) -> Any:  # noqa: ANN401 - anything in, JSON out
        """The value as JSON."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, *self._all(value)]
        if isinstance(value, dict):
            return ["dict", *([self.of(key), self.of(value[key])] for key in value)]
        if isinstance(value, (set, frozenset)):
            return ["set", *sorted(self._all(value), key=json.dumps)]
        if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
            return _named(value)
        if isinstance(value, Enum):
            return [_named(type(value)), value.name]
        if isinstance(value, (Path, torch.dtype, torch.device, np.dtype)):
            return [type(value).__name__, str(value)]
        if isinstance(value, (torch.Tensor, np.ndarray)):
            return _voxels(value)
        return self._object(value)

    def _all(self, values: Iterable[Any]) -> list[Any]:
        return [self.of(value) for value in values]

    def _object(self, value: object) -> Any:  # noqa: ANN401
        """What pickle would keep of it."""
        if id(value) in self.met:
            return ["met", self.met[id(value)][0]]
        self.met[id(value)] = (len(self.met), value)
        try:
            parts = value.__reduce_ex__(4)
        except Exception as error:  # whatever a class raises that is not to be copied
            raise Undescribable(f"{type(value).__name__} ({error})") from error
        if isinstance(parts, str):
            return ["global", parts]
        made, arguments, *state = parts
        items = [
            None if part is None else list(part) if number else part
            for number, part in enumerate(state[:3])
        ]
        return [_named(type(value)), self.of(made), self.of(arguments), self.of(items)]


def _voxels(value: torch.Tensor | np.ndarray) -> Any:  # noqa: ANN401
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
    if array.dtype.hasobject:
        raise Undescribable("an array of objects")
    content = bytes_digest(np.ascontiguousarray(array).tobytes())
    return [type(value).__name__, str(array.dtype), list(array.shape), content]


def _named(thing: Any) -> list[str | None]:  # noqa: ANN401 - a class or a function
    """Where a class or a function is found, and what its file holds."""
    module, name = getattr(thing, "__module__", None) or "builtins", thing.__qualname__
    if "<" in name:
        raise Undescribable(f"{name} of {module}")
    if isinstance(thing, BuiltinFunctionType) and not isinstance(thing.__self__, type(sys)):
        raise Undescribable(f"{name}, which is bound to an object")
    package = module.split(".")[0]
    if package in _VERSIONED or package in sys.stdlib_module_names:
        return [module, name, None]
    file = getattr(sys.modules.get(module), "__file__", None)
    return [module, name, file_digest(file) if file else None]
