"""Calibration error over bins of equal mass instead of equal width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from medkd._checks import check_at_least, check_batch
from medkd.functional._bins import check_probabilities
from medkd.functional._top_label import top_label
from medkd.functional._voxels import cases_in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["adaptive_calibration_error", "adaptive_top_label_calibration_error"]


def adaptive_calibration_error(
    probs: Probs, label: Label, *, num_bins: int = 15, mask: Mask | None = None
) -> Tensor:
    r"""Gap between probability and frequency of each class, in bins of equally many voxels.

    .. math::
        \mathrm{ACE} = \frac{1}{C R} \sum_c \sum_{r=1}^{R}
            \big| \mathrm{frequency}_c(V_{cr}) - \mathrm{probability}_c(V_{cr}) \big|

    where :math:`V_{c1} \dots V_{cR}` are the voxels of a case in ascending order of the probability
    of class :math:`c`, cut into :math:`R` bins of one mass, :math:`|V| / R`. Where bins of equal
    width put nearly all voxels of an image into the first and the last, these follow the voxels.

    The result does not depend on the order of the voxels. Where a cut falls among voxels of one
    probability, none of them is preferred: each gives the same share to either side, that is,
    the bins get the mean label of the tied voxels, in proportion. The mass is likewise cut exactly
    where :math:`R` does not divide the number of voxels. So every bin has the mass that the
    definition gives it; without ties, and where :math:`R` divides, this is the definition itself.

    Exact: the voxels of a case are sorted, one class at a time. That takes about 20 bytes a voxel
    in float32, of one case and one class.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``;
            logits are not accepted. The tensor is not modified, and no gradient is recorded.
        label: class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)`` of any dtype.
        num_bins: :math:`R`, 1 or more.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it,
            ``probs`` and ``label`` may hold anything.

    Returns:
        float64 ``(B,)`` in ``[0, 1]``; NaN for a case without a valid voxel.

    Raises:
        ValueError: if a shape does not fit, ``num_bins`` is below 1, or a valid voxel of ``label``
            is no class index or of ``probs`` no probability (NaN included).
        TypeError: if a dtype does not fit.

    Example:
        Two bins of two voxels: of those at 0.25 none is of the second class, of those at 0.75 both.

        >>> import torch
        >>> from medkd.functional import adaptive_calibration_error
        >>> second = torch.tensor([0.25, 0.25, 0.75, 0.75])
        >>> probs = torch.stack([1 - second, second]).unsqueeze(0)
        >>> adaptive_calibration_error(probs, torch.tensor([[[0, 0, 1, 1]]]), num_bins=2).item()
        0.25

    References:
        J. Nixon, M. W. Dusenberry, L. Zhang, G. Jerfel, D. Tran. Measuring calibration in deep
        learning. CVPR workshops 2019, arXiv:1904.01685 (adaptive calibration error; the rules on
        ties and remainders are ours).
    """
    check_at_least(num_bins, 1, "num_bins")
    check_batch(probs, "probs")
    selections = [_class_of(index) for index in range(probs.shape[1])]
    return _mean_error_per_case(selections, probs, label, mask, num_bins)


def adaptive_top_label_calibration_error(
    probs: Probs, label: Label, *, num_bins: int = 15, mask: Mask | None = None
) -> Tensor:
    r"""Gap between confidence and accuracy, in bins of equally many voxels.

    The expected calibration error with the bins of :func:`adaptive_calibration_error`, whose rules
    on ties and remainders hold: only the predicted class of a voxel is judged, and of classes of
    one highest probability the lowest index is predicted.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``;
            logits are not accepted. The tensor is not modified, and no gradient is recorded.
        label: class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)`` of any dtype.
        num_bins: 1 or more.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it,
            ``probs`` and ``label`` may hold anything.

    Returns:
        float64 ``(B,)`` in ``[0, 1]``; NaN for a case without a valid voxel.

    Raises:
        ValueError: if a shape does not fit, ``num_bins`` is below 1, or a valid voxel of ``label``
            is no class index or of ``probs`` no probability (NaN included).
        TypeError: if a dtype does not fit.

    Example:
        Confidence 0.75 and right in half of the voxels, whichever they are:

        >>> import torch
        >>> from medkd.functional import adaptive_top_label_calibration_error
        >>> probs = torch.tensor([0.75, 0.25]).view(1, 2, 1).expand(1, 2, 4)
        >>> adaptive_top_label_calibration_error(probs, torch.tensor([[[0, 0, 1, 1]]])).item()
        0.25

    References:
        K. Nguyen, B. O'Connor. Posterior calibration and exploratory analysis for natural language
        processing models. EMNLP 2015, arXiv:1508.05154 (bins of equal mass).
    """
    check_at_least(num_bins, 1, "num_bins")
    check_batch(probs, "probs")
    return _mean_error_per_case([_top_label], probs, label, mask, num_bins)


def _class_of(index: int) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return lambda probs, label: (probs[index], label == index)


def _top_label(probs: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    confidence, correct = top_label(probs, label)
    return confidence, correct.bool()


def _mean_error_per_case(
    selections: list[Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]],
    probs: Probs,
    label: Label,
    mask: Mask | None,
    num_bins: int,
) -> Tensor:
    """Mean over what the selections take of a chunk, each sorted on its own to save memory."""
    totals = torch.zeros(probs.shape[0], dtype=torch.float64)
    for select in selections:
        for case, chunks in enumerate(cases_in_chunks(probs, label, mask)):
            parts = [select(*chunk) for chunk in chunks]
            if not parts:
                totals[case] = torch.nan
                continue
            values, positive = (torch.cat(part) for part in zip(*parts, strict=True))
            check_probabilities(values, "values")
            totals[case] += _equal_mass_error(values, positive, num_bins)
    return (totals / len(selections)).to(probs.device)


def _equal_mass_error(values: Tensor, positive: Tensor, num_bins: int) -> float:
    """Mean gap over bins of equal mass; ``values`` and bool ``positive`` are ``(voxels,)``."""
    ordered, ordered_positive = _ascending(values), _ascending(values[positive])
    num_voxels = values.numel()
    mass = torch.arange(num_bins, device=values.device) * num_voxels  # times R, to stay whole
    tied = ordered[mass // num_bins]  # the probability that the cut falls on
    first, last = _run(ordered, tied)
    first_positive, last_positive = _run(ordered_positive, tied)
    voxels_of_run = mass.double() / num_bins - first
    positives_below = first_positive + (last_positive - first_positive) * (
        voxels_of_run / (last - first)
    )
    runs = zip(first.tolist(), [*first.tolist()[1:], num_voxels], strict=True)
    sums = [ordered[start:stop].sum(dtype=torch.float64) for start, stop in runs]
    # Sum of the probabilities less number of positives, below each cut and in all.
    up_to_run = torch.stack(sums).cumsum(dim=0)
    total = up_to_run[-1:] - ordered_positive.numel()
    below = torch.cat([up_to_run.new_zeros(1), up_to_run[:-1]]) + voxels_of_run * tied.double()
    gaps = torch.cat([below - positives_below, total]).diff()
    return gaps.abs().sum().item() / num_voxels


def _ascending(values: Tensor) -> Tensor:
    """Sorted; on a CPU by numpy, which takes a tenth of torch's time for millions of values."""
    if values.device.type != "cpu" or values.dtype not in {torch.float32, torch.float64}:
        return values.sort().values
    return torch.from_numpy(np.sort(values.numpy()))


def _run(ordered: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Where the run of each value begins and ends in ascending order, int64."""
    return (
        torch.searchsorted(ordered, values, side="left"),
        torch.searchsorted(ordered, values, side="right"),
    )
