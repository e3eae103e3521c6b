"""What a ranking in groups of equals is worth, the order inside a group being left to chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["mean_running_risk", "probability_of_right_order"]


def mean_running_risk(count: Tensor, loss: Tensor) -> Tensor:
    r"""Mean over :math:`i` of the mean loss of the first :math:`i`, in expectation over the ties.

    A group of :math:`n` with loss :math:`e` after :math:`n_0` with loss :math:`e_0` adds

    .. math::
        \sum_{j=1}^{n} \frac{e_0 + j e / n}{n_0 + j}
        = e + \Big(e_0 - \frac{e}{n} n_0\Big) \big(\psi(n_0 + n + 1) - \psi(n_0 + 1)\big)

    Args:
        count: how many are in each group, ``(..., K)``, the first group first.
        loss: sum of their losses, ``(..., K)``.

    Returns:
        float64 ``(...)``; NaN where nothing is counted.
    """
    count, loss = count.double(), loss.double()
    counted, lost = count.cumsum(dim=-1), loss.cumsum(dim=-1)
    count_before, loss_before = counted - count, lost - loss
    group_risk = loss / count.clamp_min(1)  # an empty group adds nothing, whatever its risk
    harmonic = torch.digamma(counted + 1) - torch.digamma(count_before + 1)
    area = loss + (loss_before - group_risk * count_before) * harmonic
    return area.sum(dim=-1) / counted[..., -1]  # 0 / 0 is the NaN of nothing counted


def probability_of_right_order(low: Tensor, high: Tensor) -> Tensor:
    """How often one of ``high`` is in a later group than one of ``low``; in the same counts half.

    Args:
        low: how many of the first kind are in each group, ``(..., K)``, the first group first.
        high: how many of the second kind, ``(..., K)``.

    Returns:
        float64 ``(...)`` in ``[0, 1]``; NaN where one kind is missing.
    """
    # The number of pairs outgrows int64 at 4 thousand million voxels, float64 never.
    low, high = low.double(), high.double()
    low_before = low.cumsum(dim=-1) - low
    pairs = low.sum(dim=-1) * high.sum(dim=-1)
    return (high * (low_before + low / 2)).sum(dim=-1) / pairs
