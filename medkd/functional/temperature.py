"""Temperature scaling: one number, fitted on cases kept aside, that makes probabilities honest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd._checks import check_at_least, check_batch, check_label, check_mask, check_positive
from medkd.errors import InvalidValueError
from medkd.functional._bins import check_probabilities
from medkd.functional._voxels import cases_in_chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["fit_temperature", "tempered_probs"]

_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.05, 20.0
_MAX_STEPS = 100  # Newton takes about six; bisection alone would take thirty
_TOLERANCE = 1e-10  # of the inverse temperature, relative
_FLAT = 1e-12  # nats: a slope that is rounding alone
_CHUNK = 1 << 20  # voxels: few enough for memory, many enough for all of torch's threads
# Stands for the logarithm of zero: its exponential is zero at every temperature, and zero times it
# is not NaN.
_LOG_ZERO = -1e5


def tempered_probs(probs: Probs, temperature: float) -> Probs:
    r"""Class probabilities made softer or sharper by a temperature.

    .. math::
        p_T(c) = \frac{p(c)^{1/T}}{\sum_k p(k)^{1/T}} = \mathrm{softmax}(\log p / T)

    which equals :math:`\mathrm{softmax}(z / T)` if :math:`p = \mathrm{softmax}(z)`, and needs no
    logits: the mean of an ensemble has none. The order of the classes stays, and so does the
    predicted one. At :math:`T = 1` nothing changes but rounding.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``;
            logits are not accepted. The tensor is not modified.
        temperature: :math:`T`, above zero; above one makes softer.

    Returns:
        Probabilities of the shape of ``probs``, in float32 for a narrower input. A probability of
        zero stays zero. A voxel that is zero in all classes holds no probabilities and becomes NaN.

    Raises:
        ValueError: if ``probs`` has another layout or ``temperature`` is not above zero.
        TypeError: if ``probs`` is not floating point or ``temperature`` is no number.

    Example:
        Nine to one becomes three to one:

        >>> import torch
        >>> from medkd.functional import tempered_probs
        >>> probs = torch.tensor([0.9, 0.1]).view(1, 2, 1)
        >>> [round(v, 4) for v in tempered_probs(probs, 2.0).flatten().tolist()]
        [0.75, 0.25]

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, section 4.2.
    """
    check_batch(probs, "probs")
    check_positive(temperature, "temperature")
    widened = probs.to(torch.promote_types(probs.dtype, torch.float32))
    return torch.softmax(widened.log() / temperature, dim=1)


def fit_temperature(
    cases: Iterable[tuple[Probs, Label, Mask | None]],
    *,
    max_voxels_per_case: int = 1_000_000,
    seed: int = 0,
) -> float:
    r"""The temperature at which the probabilities have the least negative log-likelihood.

    .. math::
        T^* = \arg\min_T \; -\frac{1}{|V|} \sum_{v \in V} \log p_T(y(v))

    over the valid voxels of all cases together, with :func:`tempered_probs`. The mean is convex in
    :math:`1/T`; its minimum is found by Newton's method within a bracket, in float64. It lies in
    ``[0.05, 20]``: a bound is returned where the mean still falls there, as it does if every
    voxel is right (0.05). It is 1 where no temperature is better than another, as for
    probabilities that are all equal, or all zero and one and right.

    A probability of zero stays zero, except at the class of the label, where one below the
    smallest normal float32 (1.2e-38) counts as that: such a voxel asks for a high temperature, not
    for an infinite one.

    Cases are taken one after the other, and only the voxels that count are kept of them, 8 bytes
    a class and voxel. Of a case that has more than ``max_voxels_per_case`` that many are drawn,
    without replacement, and it weighs as much as they are.

    Args:
        cases: tuples of class probabilities ``(B, C, *spatial)``, in ``[0, 1]``, summing to one
            over ``C``; label, class index ``(B, 1, *spatial)``; and mask, bool
            ``(B, 1, *spatial)`` or ``None`` for all voxels. Shapes may differ from tuple to tuple,
            but for ``C``. The tensors are not modified.
        max_voxels_per_case: 1 or more.
        seed: of the draw; of no effect where no case is above the limit.

    Returns:
        The temperature, in ``[0.05, 20]``.

    Raises:
        ValueError: if there is no valid voxel at all, a shape does not fit, cases differ in their
            number of classes, or a valid voxel of a label is no class index or of the
            probabilities no probability.
        TypeError: if a dtype does not fit.

    Example:
        Three of four voxels right, all at nine to one: three to one would be honest.

        >>> import torch
        >>> from medkd.functional import fit_temperature
        >>> probs = torch.tensor([0.9, 0.1]).view(1, 2, 1).expand(1, 2, 4)
        >>> round(fit_temperature([(probs, torch.tensor([[[0, 0, 0, 1]]]), None)]), 4)
        2.0

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, section 4.2.
    """
    check_at_least(max_voxels_per_case, 1, "max_voxels_per_case")
    generator = torch.Generator().manual_seed(seed)
    log_ratios = []
    for case in cases:
        parts = list(_drawn(*case, max_voxels_per_case, generator))
        if parts:
            probs, labels = zip(*parts, strict=True)
            log_ratios.append(_log_ratios(torch.cat(probs, dim=1), torch.cat(labels)))
            del probs, labels
        del case, parts  # before the next one is loaded
    if not log_ratios:
        raise InvalidValueError("Expected `cases` to have at least one valid voxel, but got none.")
    numbers = sorted({part.shape[0] for part in log_ratios})
    if len(numbers) > 1:
        raise InvalidValueError(
            f"Expected `cases` to be of one number of classes, but got {numbers}."
        )
    return 1 / _best_inverse_temperature(log_ratios)


def _drawn(
    probs: Probs, label: Label, mask: Mask | None, limit: int, generator: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """The voxels that count of each case of a batch, in chunks."""
    check_batch(probs, "probs")
    check_label(label, probs)
    check_mask(mask, probs)
    for case, chunks in enumerate(cases_in_chunks(probs, label, mask)):
        num_voxels = int(label[case].numel() if mask is None else mask[case].sum())
        if num_voxels <= limit:
            yield from chunks
            continue
        drawn = torch.randperm(num_voxels, generator=generator)[:limit].sort().values
        start = 0
        for chunk_probs, chunk_label in chunks:
            stop = start + chunk_label.numel()
            first, last = torch.searchsorted(drawn, torch.tensor([start, stop])).tolist()
            index = (drawn[first:last] - start).to(chunk_label.device)
            if index.numel() > 0:
                yield chunk_probs.index_select(1, index), chunk_label[index]
            start = stop


def _log_ratios(probs: Tensor, label: Tensor) -> Tensor:
    """Logarithm of each class's probability over that of the label's, float64 ``(C, voxels)``."""
    check_probabilities(probs, "values")
    widened, index = probs.double(), label.unsqueeze(0)
    label_probs = widened.gather(0, index).clamp_min(torch.finfo(torch.float32).tiny)
    ratios = widened.log().clamp_min(_LOG_ZERO) - label_probs.log()
    return ratios.scatter_(0, index, 0.0)


def _best_inverse_temperature(log_ratios: list[Tensor]) -> float:
    inverse, low, high = 1.0, 1 / _MAX_TEMPERATURE, 1 / _MIN_TEMPERATURE
    slope, curvature = _derivatives(log_ratios, inverse)
    if abs(slope) <= _FLAT:
        return inverse
    bound = low if slope > 0 else high
    if _derivatives(log_ratios, bound)[0] * slope >= 0:
        return bound  # still falling there, or flat
    for _ in range(_MAX_STEPS):
        low, high = (low, inverse) if slope > 0 else (inverse, high)
        previous, inverse = inverse, _next(inverse, slope, curvature, low, high)
        if abs(inverse - previous) <= _TOLERANCE * previous:
            break
        slope, curvature = _derivatives(log_ratios, inverse)
    return inverse


def _next(inverse: float, slope: float, curvature: float, low: float, high: float) -> float:
    """Newton's step, or the middle of the bracket where that would leave it."""
    if curvature > 0 and low <= inverse - slope / curvature <= high:
        return inverse - slope / curvature
    return (low + high) / 2


def _derivatives(log_ratios: list[Tensor], inverse: float) -> tuple[float, float]:
    """First and second derivative of the mean negative log-likelihood by the inverse temperature.

    With ``d`` the log-ratios of a voxel it is ``log sum_c exp(d_c / T)``, so these are the mean and
    the variance of ``d`` under the tempered probabilities.
    """
    slope = curvature = 0.0
    for ratios in (part for kept in log_ratios for part in kept.split(_CHUNK, dim=1)):
        weights = torch.softmax(ratios * inverse, dim=0)
        weighted = weights * ratios
        mean = weighted.sum(dim=0)
        slope += mean.sum().item()
        curvature += (weighted.mul_(ratios).sum(dim=0) - mean.square()).sum().item()
    num_voxels = sum(ratios.shape[1] for ratios in log_ratios)
    return slope / num_voxels, curvature / num_voxels
