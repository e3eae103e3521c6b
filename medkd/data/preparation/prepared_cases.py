"""Each case decoded and prepared once, for whoever in a run asks for it."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.compose import Compose
from monai.transforms.traits import RandomizableTrait

from medkd.data.preparation.case_key import case_key
from medkd.data.preparation.case_memory import CaseMemory, shared_memory
from medkd.data.preparation.case_store import CaseStore
from medkd.data.preparation.prepared_entry import NotPlainError, PreparedEntry
from medkd.data.preparation.transform_description import Undescribable, describe
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PreparedCases"]

_log = logging.getLogger(__name__)

_PICTURE_NDIM = 3  # (C, width, height)


class PreparedCases:
    """Runs deterministic transforms on a case once, and gives the result whenever it is asked for.

    Members, soft labels, student, temperatures, evaluation and pictures of a run ask for the same
    cases. The first gets them from the files, and the others what was kept: in memory, as long as
    it fits, and in a folder beside the run, where later and other processes find it.

    A case is known by the SHA-256 of a text that holds the SHA-256 of each of its files, its other
    values, all that the transforms hold (not how a configuration words it), and the versions of
    what reads and computes. So a file, a spacing or the manifest's values may change, also back
    again, and what is given is always what the transforms would make now. Where files lie has no
    part in it, and no path is kept.

    Args:
        transforms: the deterministic transforms from files to what networks see.
        directory: where prepared cases are kept; ``None`` for in memory alone.
        gigabytes: how much of the disk, and how much memory, they may take: 10^9 bytes, not
            compressed. Of the memory at most half of the machine's. 0 keeps none.
        image_key: the image, of which a picture's colors are kept; see :meth:`picture`.
        ignored_keys: keys of later transforms, which are passed through and have no part in what a
            case is known by.

    Raises:
        ValueError: if a transform is random, or ``gigabytes`` is negative.

    Example:
        >>> from monai.transforms import Lambdad
        >>> def double(number):
        ...     return 2 * number
        >>> cases = PreparedCases([Lambdad("age", double)])
        >>> cases.get({"case_id": "a", "age": 21})
        {'case_id': 'a', 'age': 42}
    """

    def __init__(
        self,
        transforms: Sequence[Any],
        *,
        directory: str | Path | None = None,
        gigabytes: float = 16.0,
        image_key: str = "image",
        ignored_keys: Sequence[str] = ("soft_label", "label_2nd"),
    ) -> None:
        if gigabytes < 0:
            raise InvalidValueError(
                f"Expected `gigabytes` to be zero or more, but got {gigabytes}."
            )
        self.transforms = tuple(transforms)
        for transform in self.transforms:
            if isinstance(transform, RandomizableTrait):
                raise InvalidValueError(
                    "Expected `transforms` to be deterministic, but "
                    f"{type(transform).__name__} is random."
                )
        self.image_key = image_key
        self.ignored_keys = tuple(ignored_keys)
        self._transform = Compose(list(self.transforms))
        capacity = int(gigabytes * 1e9)
        self._store = None if directory is None else CaseStore(directory, capacity)
        self.memory = (
            CaseMemory(capacity) if directory is None else shared_memory(Path(directory), capacity)
        )
        try:
            self._description = describe(self.transforms)
        except Undescribable as error:
            _log.warning(
                "Prepared cases are kept for each training alone, because what a transform does "
                "cannot be told from what it holds: %s.",
                error,
            )
            self._description = secrets.token_hex()
            self._store = None

    def get(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """One case, prepared.

        Args:
            item: ``case_id`` and files; it is not modified.

        Returns:
            What the transforms make of it. Its tensors have metadata of their own and share their
            voxels with others': they must not be changed in place.

        Raises:
            OSError: if a file cannot be read.
            ValueError: what the transforms raise; nothing is kept then.
        """
        return self._entry(item).fill(item)

    def picture(self, item: Mapping[str, Any]) -> torch.Tensor | None:
        """The image of a case as it was taken, to be looked at.

        Args:
            item: ``case_id`` and files.

        Returns:
            ``(C, width, height)`` of ``uint8``, the least of its values 0 and the largest 255;
            ``None`` for a volume, and for an image that no transform reads.
        """
        return self._entry(item).picture

    def holds(self, item: Mapping[str, Any]) -> bool:
        """Whether a case can be given without its files being decoded."""
        key = self._key(item)
        on_disk = self._store is not None and key is not None and self._store.holds(key)
        return on_disk or self.kept(item) is not None

    def kept(self, item: Mapping[str, Any]) -> PreparedEntry | None:
        """What is in memory of a case, if it is there."""
        key = self._key(item)
        return None if key is None else self.memory.get(key)

    def _key(self, item: Mapping[str, Any]) -> str | None:
        try:
            return case_key(self._known(item), self._description)
        except Undescribable:
            return None

    def _known(self, item: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in item.items() if key not in self.ignored_keys}

    def _entry(self, item: Mapping[str, Any]) -> PreparedEntry:
        key = self._key(item)
        if key is None:
            return self._prepare(item)
        entry = self.memory.get(key)
        if entry is None:
            entry = (
                self._prepare(item) if self._store is None else self._from(self._store, key, item)
            )
            self.memory.add(key, entry)
        return entry

    def _from(self, store: CaseStore, key: str, item: Mapping[str, Any]) -> PreparedEntry:
        made: list[PreparedEntry] = []

        def prepare() -> dict[str, Any] | None:
            made.append(self._prepare(item))
            try:
                return made[0].plain()
            except NotPlainError as error:
                _log.debug("A prepared case is not kept on disk: it holds a %s.", error)
                return None

        content, was_read = store.get(key, prepare)
        return PreparedEntry.from_plain(content) if was_read else made[0]

    def _prepare(self, item: Mapping[str, Any]) -> PreparedEntry:
        known = self._known(item)
        result, start, picture = dict(known), 0, None
        while start < len(self.transforms) and not self._is_read(result):
            result = self._transform(result, start=start, end=start + 1)
            start += 1
        if self._is_read(result):
            picture = _colors(result[self.image_key])
        result = self._transform(result, start=start)
        return PreparedEntry.of(known, result, picture)

    def _is_read(self, result: Mapping[str, Any]) -> bool:
        return isinstance(result.get(self.image_key), torch.Tensor)


def _colors(image: torch.Tensor) -> torch.Tensor | None:
    """A picture's values from 0 to 255."""
    if image.ndim != _PICTURE_NDIM:
        return None
    plain = image.as_tensor() if isinstance(image, MetaTensor) else image
    values = plain.float()
    low, high = values.min(), values.max()
    return ((values - low) / (high - low).clamp_min(1e-6) * 255).round().to(torch.uint8)
