"""Is the network unsure where two observers disagree?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from medkd._checks import check_label, check_mask, check_same_shape, check_uncertainty
from medkd.errors import InvalidValueError
from medkd.functional._voxels import maps_in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

    from medkd.types import Label, Mask, VoxelMap

__all__ = ["DisagreementSums", "disagreement_correlation", "disagreement_sums"]


@dataclass(frozen=True)
class DisagreementSums:
    """Uncertainty of ``B`` cases where two observers agree (index 0) and where not (index 1).

    Not plain sums of squares, which lose a small spread about a large mean, but the spread about
    the mean itself; that of parts and of their means makes up that of the whole.

    Attributes:
        count: voxels, int64 ``(B, 2)``.
        mean: their mean uncertainty, float64 ``(B, 2)``; 0 where there are none.
        squared_deviation: sum of the squared distances from that mean, float64 ``(B, 2)``.

    Example:
        Two parts of one case, the observers disagreeing in one voxel of each:

        >>> import torch
        >>> from medkd.functional import disagreement_sums
        >>> label, second_label = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 1, 0, 1]]])
        >>> uncertainty = torch.tensor([[[0.25, 0.5, 0.75, 0.25]]])
        >>> parts = (part.split(2, dim=2) for part in (uncertainty, label, second_label))
        >>> first, second = (disagreement_sums(*part) for part in zip(*parts))
        >>> (first + second).mean.tolist(), (first + second).squared_deviation.tolist()
        ([[0.25, 0.625]], [[0.0, 0.03125]])

    References:
        T. F. Chan, G. H. Golub, R. J. LeVeque. Algorithms for computing the sample variance:
        analysis and recommendations. The American Statistician 37(3), 242-247, 1983.
    """

    count: Tensor
    mean: Tensor
    squared_deviation: Tensor

    def pooled(self) -> DisagreementSums:
        """The sums of all cases taken as one, each tensor ``(1, 2)``."""
        return DisagreementSums(
            *(part.unsqueeze(0) for part in _merged(self.count, self.mean, self.squared_deviation))
        )

    def __add__(self, other: DisagreementSums) -> DisagreementSums:
        """Sums of the same cases from other voxels, merged case by case.

        Raises:
            ValueError: if the two have another number of cases.
        """
        if self.count.shape != other.count.shape:
            raise InvalidValueError(
                f"Expected the sums to be of one shape (B, 2), but got shapes "
                f"{tuple(self.count.shape)} and {tuple(other.count.shape)}."
            )
        return DisagreementSums(
            *_merged(
                torch.stack([self.count, other.count]),
                torch.stack([self.mean, other.mean]),
                torch.stack([self.squared_deviation, other.squared_deviation]),
            )
        )


def disagreement_sums(
    uncertainty: VoxelMap, label: Label, second_label: Label, *, mask: Mask | None = None
) -> DisagreementSums:
    """Uncertainty of each case, summed where two observers agree and where they do not.

    In chunks, in float64, each chunk about its own mean: at any size of volume no digit is lost.

    Args:
        uncertainty: ``(B, 1, *spatial)``, such as an entropy. The tensor is not modified, and no
            gradient is recorded.
        label: class index of the first observer, ``(B, 1, *spatial)``, of any dtype.
        second_label: class index of the second observer, ``(B, 1, *spatial)``. They are compared,
            nothing else.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it, the
            maps may hold anything.

    Returns:
        Sums of each case. Those of a case without a valid voxel are all zero.

    Raises:
        ValueError: if a shape does not fit, or ``uncertainty`` is not finite at a valid voxel.
        TypeError: if a dtype does not fit.

    Example:
        >>> import torch
        >>> from medkd.functional import disagreement_sums
        >>> label, second_label = torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 1, 0]]])
        >>> sums = disagreement_sums(torch.tensor([[[0.0, 0.5, 0.75]]]), label, second_label)
        >>> sums.count.tolist(), sums.mean.tolist(), sums.squared_deviation.tolist()
        ([[2, 1]], [[0.25, 0.75]], [[0.125, 0.0]])
    """
    check_uncertainty(uncertainty)
    check_label(label, uncertainty)
    check_same_shape(second_label, label, "second_label", "label")
    check_mask(mask, uncertainty)
    cases = [
        _sums_of(chunks) for chunks in maps_in_chunks([uncertainty, label, second_label], mask)
    ]
    count, mean, squared_deviation = zip(*cases, strict=True)
    return DisagreementSums(
        count=torch.stack(count).to(uncertainty.device),
        mean=torch.stack(mean).to(uncertainty.device),
        squared_deviation=torch.stack(squared_deviation).to(uncertainty.device),
    )


def disagreement_correlation(sums: DisagreementSums) -> Tensor:
    r"""Pearson's correlation of uncertainty with the disagreement of two observers (1 or 0).

    With :math:`n_1` voxels of disagreement, :math:`n_0` of agreement, the means :math:`\bar u_1,
    \bar u_0` of their uncertainty and the sum :math:`S` of squared distances from these means,

    .. math::
        r = \frac{d}{\sqrt{S + d^2}}, \qquad
        d = (\bar u_1 - \bar u_0) \sqrt{\frac{n_0 n_1}{n_0 + n_1}}

    which is the usual quotient of covariance and deviations for a variable of two values.

    Args:
        sums: sums of ``B`` cases; pool them first for one number over all voxels.

    Returns:
        float64 ``(B,)`` in ``[-1, 1]``. NaN for a case where the observers nowhere disagree or
        nowhere agree, or where uncertainty is the same everywhere: there is nothing to correlate.

    Example:
        Unsure exactly where the observers disagree:

        >>> import torch
        >>> from medkd.functional import disagreement_correlation, disagreement_sums
        >>> label, second_label = torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 1, 0]]])
        >>> uncertainty = torch.tensor([[[0.25, 0.25, 0.75]]])
        >>> disagreement_correlation(disagreement_sums(uncertainty, label, second_label)).item()
        1.0
    """
    agreed, disagreed = sums.count.double().unbind(dim=1)
    # 0 / 0 where there is no voxel at all, and below where nothing varies: NaN.
    weight = agreed * disagreed / (agreed + disagreed)
    distance = (sums.mean[:, 1] - sums.mean[:, 0]) * weight.sqrt()
    correlation = distance / (sums.squared_deviation.sum(dim=1) + distance.square()).sqrt()
    return torch.where(weight > 0, correlation, torch.nan)


def _sums_of(chunks: Iterable[tuple[Tensor, ...]]) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and squared deviation of one case, each ``(2,)``, on the CPU."""
    rows = [
        [_moments(uncertainty[differs == other]) for other in (False, True)]
        for uncertainty, differs in (
            (values, label != second_label) for values, label, second_label in chunks
        )
    ]
    table = torch.tensor(rows, dtype=torch.float64).view(-1, 2, 3)  # (chunks, 2, moments)
    count, mean, squared_deviation = table.unbind(dim=2)
    return _merged(count.long(), mean, squared_deviation)


def _moments(uncertainty: Tensor) -> tuple[int, float, float]:
    count = uncertainty.numel()
    if count == 0:
        return 0, 0.0, 0.0
    variance, mean = torch.var_mean(uncertainty.double(), correction=0)
    if not abs(mean.item()) < float("inf"):
        raise InvalidValueError(
            "Expected `uncertainty` to be finite at every valid voxel, but got NaN or infinity."
        )
    return count, mean.item(), variance.item() * count


def _merged(
    count: Tensor, mean: Tensor, squared_deviation: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The moments of parts, ``(parts, ...)``, made those of the whole, ``(...)``."""
    total = count.sum(dim=0)
    if count.shape[0] == 0:
        return total, mean.sum(dim=0), squared_deviation.sum(dim=0)
    # From the mean of the largest part: if all parts have one mean, so has the whole, exactly.
    largest = mean.gather(0, count.argmax(dim=0, keepdim=True))
    shift = ((mean - largest) * count).sum(dim=0) / total.clamp_min(1)
    whole = largest.squeeze(0) + shift
    between = ((mean - whole).square() * count).sum(dim=0)
    return total, whole, squared_deviation.sum(dim=0) + between
