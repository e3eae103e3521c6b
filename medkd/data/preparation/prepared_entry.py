"""One prepared case as it is kept: its voxels once, and all that is said of them."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.utils.enums import TraceKeys

from medkd.data.preparation.case_key import files_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["NotPlainError", "PreparedEntry", "same_voxels", "tensors_of"]

_FILE = "filename_or_obj"
_ATOMS = (type(None), bool, int, float, str, bytes, torch.dtype, torch.device, torch.Size)


class NotPlainError(Exception):
    """Something that a file without code cannot hold."""


@dataclass(frozen=True, eq=False)
class PreparedEntry:
    """What transforms made of an item.

    Attributes:
        values: what they added or changed. No tensor knows the path it came from.
        dropped: the keys that they removed.
        files: the keys of tensors that came from a file, to the item's key of that file.
        picture: of a picture, its colors as they were taken, ``(C, width, height)`` of ``uint8``;
            ``None`` for a volume.
    """

    values: dict[str, Any]
    dropped: tuple[str, ...] = ()
    files: dict[str, str] | None = None
    picture: torch.Tensor | None = None

    @classmethod
    def of(
        cls, item: Mapping[str, Any], result: Mapping[str, Any], picture: torch.Tensor | None
    ) -> PreparedEntry:
        """Keep a result.

        Args:
            item: what was prepared.
            result: what came of it; its tensors belong to the entry from now on.
            picture: see the class.

        Returns:
            The entry.
        """
        names = {str(files[0]): key for key, value in item.items() if (files := files_of(value))}
        values, sources = {}, {}
        for key, value in result.items():
            if key in item and value is item[key]:
                continue
            values[key] = _compact(value)
            if isinstance(value, MetaTensor) and value.meta.get(_FILE) in names:
                sources[key] = names[values[key].meta.pop(_FILE)]
        dropped = tuple(key for key in item if key not in result)
        return cls(values, dropped, sources, picture)

    @property
    def nbytes(self) -> int:
        """Of all its voxels."""
        return sum(tensor.nbytes for tensor in tensors_of([self.values, self.picture]))

    def fill(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """The result for an item with the same content.

        Args:
            item: what is to be prepared.

        Returns:
            A new item whose tensors share the voxels of this entry and nothing else: they must not
            be changed in place.
        """
        gone = {*self.dropped, *self.values}
        result = {key: value for key, value in item.items() if key not in gone}
        result |= same_voxels(self.values)
        for key, source in (self.files or {}).items():
            result[key].meta[_FILE] = str(files_of(item[source])[0])
        return result

    def plain(self) -> dict[str, Any]:
        """As tensors and plain containers, for a file.

        Raises:
            NotPlainError: if a value is something else.
        """
        return {
            "values": _plain(self.values),
            "dropped": list(self.dropped),
            "files": dict(self.files or {}),
            "picture": self.picture,
        }

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> PreparedEntry:
        """The entry that was written so.

        Args:
            content: of :meth:`plain`.

        Returns:
            The entry.
        """
        return cls(
            values=_unplain(content["values"]),
            dropped=tuple(content["dropped"]),
            files=content["files"],
            picture=content["picture"],
        )


def tensors_of(value: Any) -> Iterator[torch.Tensor | np.ndarray]:  # noqa: ANN401
    """The tensors and arrays in dictionaries, lists and tuples.

    Args:
        value: a container, at any depth, or anything else.

    Yields:
        One after the other.
    """
    if isinstance(value, (torch.Tensor, np.ndarray)):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from tensors_of(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from tensors_of(one)


def same_voxels(value: Any) -> Any:  # noqa: ANN401 - as it came
    """A copy that shares the voxels with what it was made of, and nothing else.

    Args:
        value: tensors in dictionaries, lists and tuples.

    Returns:
        The same with its own containers and metadata.
    """
    if isinstance(value, MetaTensor):
        shared = value.as_tensor().as_subclass(MetaTensor)
        shared.__dict__ = deepcopy(value.__dict__)
        return shared
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value
    if isinstance(value, dict):
        return {key: same_voxels(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(same_voxels, value))
    return deepcopy(value)


def _compact(value: Any) -> Any:  # noqa: ANN401
    """The value, its tensors contiguous and alone in their memory."""
    if isinstance(value, torch.Tensor):
        own = value.is_contiguous() and value.untyped_storage().nbytes() == value.nbytes
        value = value if own else value.contiguous().clone()
        if isinstance(value, MetaTensor):
            value = same_voxels(value)
            _forget_objects(value.applied_operations)
        return value
    return value


def _forget_objects(operations: Any) -> None:  # noqa: ANN401 - whatever MONAI traced
    """MONAI traces which object did something; others like it, in other processes, may undo it."""
    if isinstance(operations, dict):
        if TraceKeys.CLASS_NAME in operations and TraceKeys.ID in operations:
            operations[TraceKeys.ID] = TraceKeys.NONE
        operations = list(operations.values())
    if isinstance(operations, (list, tuple)):
        for operation in operations:
            _forget_objects(operation)


def _plain(value: Any) -> Any:  # noqa: ANN401
    # A tuple is a mark and what it marks.
    if isinstance(value, MetaTensor):
        return ("MetaTensor", value.as_tensor(), _plain(value.__dict__))
    if isinstance(value, torch.Tensor):
        return value
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, _ATOMS):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return _plain_array(value)
    if isinstance(value, tuple):
        return ("tuple", [_plain(one) for one in value])
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items()}
    raise NotPlainError(type(value).__name__)


def _plain_array(value: np.ndarray | np.generic) -> tuple[str, torch.Tensor]:
    mark = "array" if isinstance(value, np.ndarray) else "number"
    try:
        return (mark, torch.from_numpy(np.array(value)))
    except TypeError as error:
        raise NotPlainError(str(value.dtype)) from error


def _unplain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list):
        return [_unplain(one) for one in value]
    if isinstance(value, dict):
        return {key: _unplain(one) for key, one in value.items()}
    if not isinstance(value, tuple) or isinstance(value, torch.Size):
        return value
    mark, content, *more = value
    if mark == "tuple":
        return tuple(_unplain(one) for one in content)
    if mark == "MetaTensor":
        tensor = content.as_subclass(MetaTensor)
        tensor.__dict__ = _unplain(more[0])
        return tensor
    return content.numpy() if mark == "array" else content.numpy()[()]
