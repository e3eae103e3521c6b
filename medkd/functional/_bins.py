"""Equally wide bins of probability: which one a value is in, and what each of them holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["BinSums", "check_probabilities"]

# How far above one a sum of rounded probabilities may lie; beyond it these are no probabilities.
_TOLERANCE = 1e-3


class BinSums:
    """Voxels counted by bin and outcome, and their values summed by bin, a chunk at a time.

    Bin ``i = 1 ... K`` holds the values in ``((i - 1) / K, i / K]``; zero belongs to the first, and
    what rounding has put above one to the last. In float64 the product with ``K`` rounds nothing of
    a float32 or narrower number, so the exact value decides.

    Args:
        num_bins: ``K``.
    """

    def __init__(self, num_bins: int) -> None:
        self._num_bins = num_bins
        # By outcome, then by how many bins there are above a value's: K of them above zero.
        self._count = torch.zeros(2 * (num_bins + 1), dtype=torch.int64)
        self._total = torch.zeros(2 * (num_bins + 1), dtype=torch.float64)

    def add(self, values: Tensor, positive: Tensor) -> None:
        """Add a chunk.

        Args:
            values: probabilities that :func:`check_probabilities` has let pass, float64
                ``(voxels,)``.
            positive: whether what they announce came true, float64 ``(voxels,)`` of zeros and ones;
                of the dtype of the values, because mixed dtypes cost several times more.
        """
        num_bins = self._num_bins
        # The number of bins above, before it is cut to a whole one: cutting is free with the
        # conversion to integers, where rounding up is an operation that starts torch's threads.
        above = torch.rsub(values, num_bins, alpha=num_bins).clamp_min_(0)
        index = above.add_(positive, alpha=num_bins + 1).long()
        self._count += torch.bincount(index, minlength=len(self._count)).cpu()
        self._total += torch.bincount(index, values, minlength=len(self._total)).cpu()

    def count(self) -> Tensor:
        """Voxels that are not positive and that are, int64 ``(K, 2)`` on the CPU."""
        return self._by_bin(self._count)

    def total(self) -> Tensor:
        """Sums of the values, float64 ``(K,)`` on the CPU."""
        return self._by_bin(self._total).sum(dim=1)

    def _by_bin(self, sums: Tensor) -> Tensor:
        upper_edges = sums.view(2, self._num_bins + 1).flip(1).T.contiguous()  # 0, 1/K ... 1
        upper_edges[1] += upper_edges[0]
        return upper_edges[1:]


def check_probabilities(values: Tensor, description: str) -> None:
    """Raise unless all values lie between zero and one; NaN is refused.

    Args:
        values: any shape, with at least one value.
        description: what to call them in the message, in the plural.
    """
    lowest, highest = (bound.item() for bound in values.aminmax())
    if not (lowest >= 0 and highest <= 1 + _TOLERANCE):  # this way round, NaN is refused
        raise InvalidValueError(
            "Expected `probs` to be probabilities from 0 to 1 at every valid voxel, but got "
            f"{description} from {lowest} to {highest}."
        )
