"""Right and wrong voxels counted by uncertainty: a ranking that can be added up over cases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from medkd._checks import (
    check_label,
    check_mask,
    check_positive,
    check_same_shape,
    check_uncertainty,
)
from medkd.errors import InvalidValueError
from medkd.functional._top_label import top_label
from medkd.functional._voxels import cases_in_chunks, maps_in_chunks
from medkd.functional.uncertainty import entropy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from medkd.types import Label, Mask, Probs, VoxelMap

__all__ = ["ErrorBins", "entropy_error_bins", "error_bins"]

# The bin of a float64 is its sign, exponent and first mantissa bits, read as one integer: it grows
# with the number, and costs a shift.
_MANTISSA_BITS = 9
_OCTAVES = 30
_SHIFT = 52 - _MANTISSA_BITS
_FIRST_KEY = (1023 - _OCTAVES) << _MANTISSA_BITS  # of 2^-30
_NUM_BINS = 1 + (_OCTAVES << _MANTISSA_BITS)
# How far outside its range rounding may put an uncertainty, as a part of the maximum.
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class ErrorBins:
    """Right and wrong voxels of ``B`` cases, ranked by uncertainty.

    Bins are counts, so those of parts add up to those of the whole, without loss.

    Attributes:
        right: right voxels in each bin, from the most certain to the least, int64 ``(B, K)``.
        wrong: wrong voxels in each bin, int64 ``(B, K)``.

    Example:
        An error ranked last of three, and one ranked first of two:

        >>> import torch
        >>> from medkd.functional import ErrorBins, error_detection_auroc
        >>> bins = ErrorBins(
        ...     right=torch.tensor([[2, 0], [0, 1]]), wrong=torch.tensor([[0, 1], [1, 0]])
        ... )
        >>> error_detection_auroc(bins).tolist()
        [1.0, 0.0]
        >>> bins.pooled().right.tolist(), bins.pooled().wrong.tolist()
        ([[2, 1]], [[1, 1]])
    """

    right: Tensor
    wrong: Tensor

    def pooled(self) -> ErrorBins:
        """The bins of all cases taken as one, each tensor ``(1, K)``."""
        return ErrorBins(
            right=self.right.sum(dim=0, keepdim=True), wrong=self.wrong.sum(dim=0, keepdim=True)
        )

    def __add__(self, other: ErrorBins) -> ErrorBins:
        """Bins of the same cases from other voxels, added case by case and bin by bin.

        Raises:
            ValueError: if the two have another number of cases or bins.
        """
        if self.right.shape != other.right.shape:
            raise InvalidValueError(
                f"Expected the bins to be of one shape (B, K), but got shapes "
                f"{tuple(self.right.shape)} and {tuple(other.right.shape)}."
            )
        return ErrorBins(right=self.right + other.right, wrong=self.wrong + other.wrong)


def error_bins(
    uncertainty: VoxelMap,
    prediction: Label,
    label: Label,
    *,
    maximum: float,
    mask: Mask | None = None,
) -> ErrorBins:
    r"""Right and wrong voxels of each case, counted by uncertainty in 15,361 bins.

    To sort a volume takes its size in memory and cannot be added up over cases; a histogram can.
    Its bins are narrow where certain voxels crowd: each octave of uncertainty from
    :math:`2^{-30}` of the maximum up to the maximum has 512 bins, so that two voxels of one bin
    differ by a factor of at most :math:`1 + 2^{-9}`; what is below the first octave is one bin.

    Voxels of one bin count as ties. What that changes is of second order in the width of the bins:
    only the pairs inside one bin lose their order, and by as little as the share of errors changes
    across a bin, that order was better than chance. At most, the AUROC moves by half the share of
    these pairs. Against sorting, on calibrated forecasts, it moved by 1e-5 at 100,000 voxels and by
    1e-7 at two million, the area under the risk-coverage curve by a tenth of that.

    Args:
        uncertainty: ``(B, 1, *spatial)``, zero or more, such as an entropy or mutual information.
            The tensor is not modified, and no gradient is recorded.
        prediction: predicted class index, ``(B, 1, *spatial)``, of any dtype. It is compared with
            the label, nothing else; so it may also be a second observer's label.
        label: class index, ``(B, 1, *spatial)``, of any dtype.
        maximum: the highest value that ``uncertainty`` can have, such as :math:`\log C`. Rounding
            may exceed it, or fall below zero, by up to a thousandth of it.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it, the
            maps may hold anything.

    Returns:
        Bins of each case. Those of a case without a valid voxel are all zero.

    Raises:
        ValueError: if a shape does not fit, ``maximum`` is not above zero, or ``uncertainty`` is
            NaN or out of range at a valid voxel.
        TypeError: if a dtype does not fit.

    Example:
        Four voxels, of which the least certain is wrong:

        >>> import torch
        >>> from medkd.functional import error_bins, error_detection_auroc
        >>> uncertainty = torch.tensor([[[0.0, 0.1, 0.2, 0.6]]])
        >>> prediction, label = torch.tensor([[[0, 1, 1, 1]]]), torch.tensor([[[0, 1, 1, 0]]])
        >>> bins = error_bins(uncertainty, prediction, label, maximum=0.6932)
        >>> bins.right.sum().item(), bins.wrong.sum().item()
        (3, 1)
        >>> error_detection_auroc(bins).item()
        1.0
    """
    check_uncertainty(uncertainty)
    check_same_shape(prediction, uncertainty, "prediction", "uncertainty")
    check_label(label, uncertainty)
    check_mask(mask, uncertainty)
    check_positive(maximum, "maximum")
    counts = [
        _bins_of(
            ((values, pred != true) for values, pred, true in chunks), maximum, "`uncertainty`"
        )
        for chunks in maps_in_chunks([uncertainty, prediction, label], mask)
    ]
    return _stacked(counts, uncertainty.device)


def entropy_error_bins(probs: Probs, label: Label, *, mask: Mask | None = None) -> ErrorBins:
    r"""Right and wrong voxels of each case, counted by the entropy of their class probabilities.

    :func:`error_bins` of the predictive entropy and the class of highest probability (of equals the
    lowest index), made chunk by chunk: neither map is ever whole in memory.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``;
            logits are not accepted. The tensor is not modified, and no gradient is recorded.
        label: class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)`` of any dtype.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it,
            ``probs`` and ``label`` may hold anything.

    Returns:
        Bins of each case, with :math:`\log C` as maximum.

    Raises:
        ValueError: if a shape does not fit, or a valid voxel of ``label`` is no class index or of
            ``probs`` no probability (NaN included).
        TypeError: if a dtype does not fit.

    Example:
        A certain voxel that is right and an unsure one that is wrong:

        >>> import torch
        >>> from medkd.functional import area_under_risk_coverage, entropy_error_bins
        >>> probs = torch.tensor([[[1.0, 0.6], [0.0, 0.4]]])  # (B, C, *spatial) = (1, 2, 2)
        >>> bins = entropy_error_bins(probs, torch.tensor([[[0, 1]]]))
        >>> area_under_risk_coverage(bins).item()  # risk 0 of the first, 1/2 of both
        0.25
    """
    counts = [
        _bins_of(_ranked(chunks), math.log(probs.shape[1]), "the entropy of `probs`")
        for chunks in cases_in_chunks(probs, label, mask)
    ]
    return _stacked(counts, probs.device)


def _bins_of(chunks: Iterable[tuple[Tensor, Tensor]], maximum: float, name: str) -> Tensor:
    """Counts of right and wrong voxels, int64 ``(K, 2)``, from uncertainties and errors."""
    count = torch.zeros(_NUM_BINS * 2, dtype=torch.int64)
    for uncertainty, wrong in chunks:
        _check_range(uncertainty, maximum, name)
        # Times the inverse, in float64: a division is rounded otherwise on an accelerator.
        share = uncertainty.double() * (1 / maximum)
        key = share.view(torch.int64).bitwise_right_shift_(_SHIFT).sub_(_FIRST_KEY - 1)
        index = key.clamp_(0, _NUM_BINS - 1).mul_(2).add_(wrong)
        count += torch.bincount(index, minlength=_NUM_BINS * 2).cpu()
    return count.view(_NUM_BINS, 2)


def _ranked(chunks: Iterable[tuple[Tensor, Tensor]]) -> Iterator[tuple[Tensor, Tensor]]:
    """Entropy of each voxel of the chunks, and whether its label is another class."""
    for probs, label in chunks:
        right = top_label(probs, label)[1]
        yield entropy(probs.unsqueeze(0)).flatten(), right == 0


def _stacked(counts: list[Tensor], device: torch.device) -> ErrorBins:
    right, wrong = torch.stack(counts).to(device).unbind(dim=-1)
    return ErrorBins(right=right.contiguous(), wrong=wrong.contiguous())


def _check_range(uncertainty: Tensor, maximum: float, name: str) -> None:
    lowest, highest = (bound.item() for bound in uncertainty.aminmax())
    slack = _TOLERANCE * maximum
    if not (lowest >= -slack and highest <= maximum + slack):  # this way round, NaN is refused
        raise InvalidValueError(
            f"Expected {name} to be from 0 to {maximum:.6g} at every valid voxel, but got values "
            f"from {lowest} to {highest}."
        )
