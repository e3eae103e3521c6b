"""Where windows of probabilities meet, one window deep, and leave as maps."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from medkd.errors import InvalidValueError
from medkd.functional import entropy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

__all__ = ["WindowBuffer"]

_CHUNK_VOXELS = 1 << 16  # reduced at once: with their classes they about fit the cache


class WindowBuffer:
    """Sums weighted probabilities, and reduces each slice as soon as no later window touches it.

    The sums form a ring along one axis: slice ``i`` of the volume is kept at ``i % depth`` until
    a window begins beyond it. The sum over classes of a voxel is the sum of its
    windows' weights, for the probabilities of each window sum to one; so no weights are kept.

    Args:
        num_classes: ``C``.
        size: of the volume, one to three axes.
        depth: of a window along ``axis``.
        axis: of the ring.
        device: of the sums and of the maps.
        with_probability: make that map.
        with_uncertainty: make that map.
    """

    def __init__(
        self,
        num_classes: int,
        size: Sequence[int],
        *,
        depth: int,
        axis: int,
        device: torch.device,
        with_probability: bool,
        with_uncertainty: bool,
    ) -> None:
        self._depth = depth
        self._axis = axis
        self._end = size[axis]
        self._reduced = 0  # slices of the volume that have left the ring
        ring = [depth if number == axis else length for number, length in enumerate(size)]
        self._sums = torch.zeros((num_classes, *ring), device=device)
        index_dtype = torch.uint8 if num_classes <= 256 else torch.int16
        dtypes = {"segmentation": index_dtype}
        if with_probability:
            dtypes["probability"] = torch.float16
        if with_uncertainty:
            dtypes["uncertainty"] = torch.float16
        self._maps = {
            name: torch.zeros(tuple(size), dtype=dtype, device=device)
            for name, dtype in dtypes.items()
        }

    def add(self, window: tuple[slice, ...], weighted: Tensor) -> None:
        """Add one window; windows come in the order of their start along the axis.

        Args:
            window: its place in the volume.
            weighted: probabilities times the window's weights, ``(C, *window)``, on the device.
        """
        start, stop = window[self._axis].start, window[self._axis].stop
        self._reduce_until(start)
        for at, first, length in self._ring_parts(start, stop):
            place = list(window)
            place[self._axis] = slice(at, at + length)
            self._sums[(slice(None), *place)] += weighted.narrow(
                self._axis + 1, first - start, length
            )

    def finish(self) -> dict[str, Tensor]:
        """Reduce what is left.

        Returns:
            The maps by name, each ``(*size)``.
        """
        self._reduce_until(self._end)
        return self._maps

    def _reduce_until(self, stop: int) -> None:
        for at, first, length in self._ring_parts(self._reduced, stop):
            sums = self._sums.narrow(self._axis + 1, at, length)
            maps = {
                name: values.narrow(self._axis, first, length)
                for name, values in self._maps.items()
            }
            _reduce(sums, maps, axis=1 if self._axis == 0 and sums.ndim > 2 else 0)
            sums.zero_()
        self._reduced = stop

    def _ring_parts(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Slices ``start`` to ``stop``, at most a ring of them, as (at, first, length)."""
        while start < stop:
            at = start % self._depth
            length = min(stop - start, self._depth - at)
            yield at, start, length
            start += length


def _reduce(sums: Tensor, maps: dict[str, Tensor], *, axis: int) -> None:
    """Sums ``(C, *part)`` to the maps, each ``(*part)``, in chunks along an axis of theirs."""
    voxels = math.prod(sums.shape[1:])
    step = max(1, _CHUNK_VOXELS * sums.shape[axis + 1] // max(voxels, 1))
    for start in range(0, sums.shape[axis + 1], step):
        length = min(step, sums.shape[axis + 1] - start)
        chunk = sums.narrow(axis + 1, start, length)
        largest, index = chunk.max(dim=0)
        if not bool(torch.isfinite(largest).all()):
            raise InvalidValueError(
                "Expected `network` to give finite logits, but got NaN or infinity."
            )
        maps["segmentation"].narrow(axis, start, length).copy_(index)
        if len(maps) == 1:
            continue
        total = chunk.sum(dim=0)
        if "probability" in maps:
            low, high = _halves_within(1 / len(sums), 1.0)
            probability = maps["probability"].narrow(axis, start, length)
            probability.copy_(largest / total).clamp_(low, high)
        if "uncertainty" in maps:
            entropies = entropy((chunk / total).unsqueeze(0))[0, 0]
            low, high = _halves_within(0.0, math.log(len(sums)))
            maps["uncertainty"].narrow(axis, start, length).copy_(entropies).clamp_(low, high)


def _halves_within(low: float, high: float) -> tuple[float, float]:
    """The outermost float16 values in an interval, which rounding to float16 may leave."""
    first, last = np.float16(low), np.float16(high)
    if float(first) < low:
        first = np.nextafter(first, np.float16(np.inf))
    if float(last) > high:
        last = np.nextafter(last, np.float16(-np.inf))
    return float(first), float(last)
