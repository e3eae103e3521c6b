"""MONAI's ``CacheDataset`` on cases that a whole run shares."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data.dataset import Dataset
from monai.data.utils import set_rnd
from monai.transforms.croppad.dictionary import (
    Cropd,
    RandCropByLabelClassesd,
    RandCropByPosNegLabeld,
)
from monai.transforms.traits import RandomizableTrait
from monai.transforms.transform import Transform
from monai.transforms.utility.dictionary import DeleteItemsd, SelectItemsd
from monai.transforms.utils import convert_to_contiguous

from medkd.data.preparation.prepared_entry import same_voxels, tensors_of
from medkd.errors import InvalidValueError
from medkd.progress import progress as bar_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monai.transforms.compose import Compose

    from medkd.data.preparation.prepared_cases import PreparedCases

__all__ = ["PreparedDataset"]

# Those of MONAI give a part of what they get, and change nothing of it.
_TAKING_PARTS = (
    *(Cropd, RandCropByLabelClassesd, RandCropByPosNegLabeld),
    *(DeleteItemsd, SelectItemsd),
)


class PreparedDataset(Dataset):
    """A data set that gives what MONAI's ``CacheDataset`` gives, and decodes what no one has yet.

    ``transform`` is in three parts: the transforms of ``cases``, whose results the whole run
    shares; further deterministic ones, up to the first random one, whose results are kept by this
    data set, as long as they fit; random ones, which run each time an item is asked for. Seeded
    alike, both data sets give the same numbers.

    Random transforms may change what they get in place, so they get copies. Where a crop is the
    first of them, its part is copied, and not the whole volume.

    Args:
        data: the items: ``case_id`` and files.
        transform: all transforms, which begin with those of ``cases``.
        cases: where prepared cases come from.
        progress: whether a bar shows how many are ready.

    Raises:
        ValueError: if ``transform`` does not begin with the transforms of ``cases``; what the
            transforms raise.
    """

    def __init__(
        self,
        data: Sequence[Mapping[str, Any]],
        transform: Compose | Sequence[Any],
        *,
        cases: PreparedCases,
        progress: bool = True,
    ) -> None:
        super().__init__(data=data, transform=transform)
        self.cases = cases
        steps = self.transform.transforms
        self._prepared = len(cases.transforms)
        same = zip(steps, cases.transforms, strict=False)
        if len(steps) < self._prepared or any(mine is not theirs for mine, theirs in same):
            raise InvalidValueError(
                "Expected `transform` to begin with the transforms of `cases`, the same objects in "
                "the same order, but it does not."
            )
        self._random = next(
            (number for number, step in enumerate(steps) if _is_random(step)), len(steps)
        )
        self._changing = self._random
        while self._changing < len(steps) and _only_takes(steps[self._changing]):
            self._changing += 1
        self._kept: dict[int, Any] = {}
        self._keep_all(progress=progress)

    def set_random_state(self, seed: int) -> None:
        """Seed the random transforms as MONAI seeds those of any data set.

        Args:
            seed: not negative.
        """
        set_rnd(self.transform, seed)

    def _keep_all(self, *, progress: bool) -> None:
        """Prepare all items, until there is no more room for them."""
        bar = bar_of(self.data, desc="preparing cases", unit="case", disable=not progress)
        for index, item in enumerate(bar):
            result = convert_to_contiguous(self._deterministic(item))
            entry = self.cases.kept(item)
            theirs = set() if entry is None else set(map(_place, tensors_of(entry.values)))
            own = sum(x.nbytes for x in tensors_of(result) if _place(x) not in theirs)
            if self.cases.memory.lend(self, own):
                self._kept[index] = result
            elif not self.cases.holds(item):
                break

    def _deterministic(self, item: Mapping[str, Any]) -> Any:  # noqa: ANN401 - an item or several
        result = self.cases.get(item)
        return self.transform(result, start=self._prepared, end=self._random)

    def _transform(self, index: int) -> Any:  # noqa: ANN401 - an item or several
        kept = self._kept.get(index % len(self))
        result = self._deterministic(self.data[index]) if kept is None else same_voxels(kept)
        if self._random == len(self.transform.transforms):
            return result
        result = self.transform(result, start=self._random, end=self._changing)
        return self.transform(_copied(result), start=self._changing)


def _is_random(step: Any) -> bool:  # noqa: ANN401 - any callable
    """As MONAI decides it: what is not one of its transforms may be random."""
    return isinstance(step, RandomizableTrait) or not isinstance(step, Transform)


def _only_takes(step: Any) -> bool:  # noqa: ANN401
    return isinstance(step, _TAKING_PARTS) and type(step).__module__.startswith("monai.")


def _place(tensor: torch.Tensor | np.ndarray) -> int:
    """Where its voxels lie in memory."""
    if isinstance(tensor, torch.Tensor):
        return tensor.data_ptr()
    return int(tensor.__array_interface__["data"][0])


def _copied(value: Any) -> Any:  # noqa: ANN401 - as it came
    """A copy with voxels of its own, and of no more than what is there."""
    if isinstance(value, torch.Tensor):
        return value.clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_copied, value))
    return deepcopy(value)
