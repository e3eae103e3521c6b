"""Proper scores of class probabilities: Brier score and negative log-likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd.errors import InvalidValueError
from medkd.functional._voxels import cases_in_chunks

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["brier_score", "negative_log_likelihood"]


def brier_score(probs: Probs, label: Label, *, mask: Mask | None = None) -> Tensor:
    r"""Squared distance of the probabilities from the label, over all classes.

    .. math::
        \mathrm{BS} = \frac{1}{|V|} \sum_{v \in V} \sum_c \big( p_c(v) - [y(v) = c] \big)^2

    The class axis is summed, as Brier has it: with two classes the value is twice that of the
    one-class form :math:`(p_1 - y)^2`. Voxels are averaged per case, in float64, in chunks.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``;
            logits are not accepted. The tensor is not modified, and no gradient is recorded.
        label: class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)`` of any dtype.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it,
            ``probs`` and ``label`` may hold anything.

    Returns:
        float64 ``(B,)`` in ``[0, 2]``, lower is better; NaN for a case without a valid voxel.

    Raises:
        ValueError: if a shape does not fit, a valid voxel of ``label`` is no class index, or
            ``probs`` is not finite at a valid voxel.
        TypeError: if a dtype does not fit.

    Example:
        Right, undecided, wrong:

        >>> import torch
        >>> from medkd.functional import brier_score
        >>> probs = torch.tensor([[[1.0, 0.5, 0.0], [0.0, 0.5, 1.0]]])  # (B, C, *spatial)
        >>> label = torch.zeros(1, 1, 3, dtype=torch.long)
        >>> [brier_score(probs[..., [v]], label[..., [v]]).item() for v in range(3)]
        [0.0, 0.5, 2.0]

    References:
        G. W. Brier. Verification of forecasts expressed in terms of probability. Monthly Weather
        Review 78(1), 1-3, 1950, equation 2.
    """
    return _mean_per_case(_squared_distance_sum, probs, label, mask)


def negative_log_likelihood(probs: Probs, label: Label, *, mask: Mask | None = None) -> Tensor:
    r"""Mean of :math:`-\log p` of the label's class.

    .. math::
        \mathrm{NLL} = -\frac{1}{|V|} \sum_{v \in V} \log p_{y(v)}(v)

    A probability below the smallest normal number of its dtype (1.2e-38 in float32, 6.1e-5 in
    float16) counts as that number, so one certain error costs at most 87.3 nats in float32 instead
    of making the mean infinite. Voxels are averaged per case, in float64, in chunks.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``;
            logits are not accepted. The tensor is not modified, and no gradient is recorded.
        label: class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)`` of any dtype.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all. Outside it,
            ``probs`` and ``label`` may hold anything.

    Returns:
        float64 ``(B,)`` in nats, zero or more, lower is better; NaN for a case without a valid
        voxel.

    Raises:
        ValueError: if a shape does not fit, a valid voxel of ``label`` is no class index, or
            ``probs`` is not finite at a valid voxel.
        TypeError: if a dtype does not fit.

    Example:
        >>> import torch
        >>> from medkd.functional import negative_log_likelihood
        >>> probs = torch.tensor([[[1.0, 0.5], [0.0, 0.5]]])  # (B, C, *spatial) = (1, 2, 2)
        >>> label = torch.zeros(1, 1, 2, dtype=torch.long)
        >>> round(negative_log_likelihood(probs, label).item(), 4)  # half of log 2
        0.3466

    References:
        C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On calibration of modern neural networks.
        ICML 2017, arXiv:1706.04599, section 2, equation 6.
    """
    return _mean_per_case(_surprise_sum, probs, label, mask)


def _mean_per_case(
    chunk_sum: Callable[[Tensor, Tensor], Tensor], probs: Probs, label: Label, mask: Mask | None
) -> Tensor:
    means = []
    for chunks in cases_in_chunks(probs, label, mask):
        total, count = 0.0, 0
        for chunk_probs, chunk_label in chunks:
            total += chunk_sum(chunk_probs, chunk_label).item()
            count += chunk_label.numel()
        # NaN is kept for "no valid voxel": a diverged network must not pass for that.
        if not abs(total) < float("inf"):
            raise InvalidValueError(
                "Expected `probs` to be finite at every valid voxel, but got NaN or infinity."
            )
        means.append(total / count if count > 0 else float("nan"))
    return torch.tensor(means, dtype=torch.float64, device=probs.device)


def _squared_distance_sum(probs: Tensor, label: Tensor) -> Tensor:
    distance = probs.to(torch.float64, copy=True)
    minus_one = distance.new_full((1, 1), -1.0).expand(1, label.numel())
    return distance.scatter_add_(0, label.unsqueeze(0), minus_one).square_().sum()


def _surprise_sum(probs: Tensor, label: Tensor) -> Tensor:
    label_probs = probs.gather(0, label.unsqueeze(0))
    return label_probs.clamp_min(torch.finfo(probs.dtype).tiny).double().log().sum().neg()
