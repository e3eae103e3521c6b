"""How unsure an ensemble is at every voxel, and which part of that is disagreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd._checks import check_batch, check_members

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import MemberProbs, Probs, VoxelMap

__all__ = ["entropy", "expected_entropy", "mutual_information", "predictive_entropy"]

_MEMBER_DIM = 0


def entropy(probs: Probs) -> VoxelMap:
    r"""Shannon entropy of the class probabilities at every voxel.

    .. math::
        H[p] = -\sum_c p_c \log p_c, \qquad 0 \log 0 = 0

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``;
            logits are not accepted. The tensor is not modified.

    Returns:
        Map of shape ``(B, 1, *spatial)`` in nats, in ``[0, log C]`` up to rounding; in float32 for
        a narrower input.

    Raises:
        ValueError: if ``probs`` has another layout.
        TypeError: if ``probs`` is not floating point.

    Example:
        Certain, then undecided between two classes:

        >>> import torch
        >>> from medkd.functional import entropy
        >>> probs = torch.tensor([[[1.0, 0.5], [0.0, 0.5]]])  # (B, C, *spatial) = (1, 2, 2)
        >>> [round(v, 4) for v in entropy(probs).flatten().tolist()]
        [0.0, 0.6931]

    References:
        C. E. Shannon. A mathematical theory of communication. Bell System Technical Journal 27,
        1948, section 6.
    """
    check_batch(probs, "probs")
    return _entropy(probs, class_dim=1)


def predictive_entropy(member_probs: MemberProbs) -> VoxelMap:
    r"""Entropy of the members' mean prediction: how unsure the ensemble is in all.

    .. math::
        H\Big[\tfrac{1}{M}\sum_m p_m\Big]

    Args:
        member_probs: class probabilities of every member, ``(M, B, C, *spatial)``. The tensor is
            not modified.

    Returns:
        Map of shape ``(B, 1, *spatial)`` in nats, in ``[0, log C]`` up to rounding.

    Raises:
        ValueError: if ``member_probs`` has another layout or no member.
        TypeError: if ``member_probs`` is not floating point.

    Example:
        Two certain members that contradict each other leave the ensemble undecided:

        >>> import torch
        >>> from medkd.functional import predictive_entropy
        >>> contradict = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 1, 2, 1)
        >>> round(predictive_entropy(contradict).item(), 4)
        0.6931

    References:
        Y. Gal. Uncertainty in deep learning. PhD thesis, University of Cambridge, 2016,
        section 3.3.1.
    """
    check_members(member_probs, "member_probs")
    mean_probs = _widened(member_probs).mean(dim=_MEMBER_DIM)  # (B, C, *spatial)
    return _entropy(mean_probs, class_dim=1)


def expected_entropy(member_probs: MemberProbs) -> VoxelMap:
    r"""Mean over the members of their own entropies: how unsure each of them is.

    .. math::
        \tfrac{1}{M}\sum_m H[p_m]

    Args:
        member_probs: class probabilities of every member, ``(M, B, C, *spatial)``. The tensor is
            not modified.

    Returns:
        Map of shape ``(B, 1, *spatial)`` in nats, in ``[0, log C]`` up to rounding.

    Raises:
        ValueError: if ``member_probs`` has another layout or no member.
        TypeError: if ``member_probs`` is not floating point.

    Example:
        Two certain members that contradict each other are each sure of themselves:

        >>> import torch
        >>> from medkd.functional import expected_entropy
        >>> contradict = torch.tensor([[1.0, 0.0], [0.0, 1.0]]).view(2, 1, 2, 1)
        >>> expected_entropy(contradict).item()
        0.0

    References:
        Y. Gal. Uncertainty in deep learning. PhD thesis, University of Cambridge, 2016,
        section 3.3.1.
    """
    check_members(member_probs, "member_probs")
    return _entropy(member_probs, class_dim=2).mean(dim=_MEMBER_DIM)


def mutual_information(member_probs: MemberProbs) -> VoxelMap:
    r"""Mutual information between the prediction and the member that made it.

    How much the members disagree, as opposed to how unsure each of them is:

    .. math::
        I = H\Big[\tfrac{1}{M}\sum_m p_m\Big] - \tfrac{1}{M}\sum_m H[p_m],
        \qquad H[p] = -\sum_c p_c \log p_c

    It is zero exactly where all members agree and at most :math:`\log \min(M, C)`. It equals the
    generalized Jensen-Shannon divergence of the members with equal weights.

    The function returns a quantity, not its reading: whether it is called epistemic depends on how
    the members were made, so that name belongs to the caller.

    Args:
        member_probs: class probabilities of every member, ``(M, B, C, *spatial)``. Each voxel must
            sum to one over ``C``; logits are not accepted. The tensor is not modified.

    Returns:
        Map of shape ``(B, 1, *spatial)`` in nats, in ``[0, log min(M, C)]``. The channel axis is
        kept so that the map is channel-first, as MONAI writers expect. Rounding may put the raw
        difference a little below zero; it is clamped per voxel, before any reduction. One member
        gives zero.

    Raises:
        ValueError: if ``member_probs`` has another layout or no member.
        TypeError: if ``member_probs`` is not floating point.

    Example:
        Two members that agree, then two that contradict each other, at one voxel each:

        >>> import torch
        >>> from medkd.functional import mutual_information
        >>> agree = torch.tensor([[0.9, 0.1], [0.9, 0.1]])
        >>> contradict = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> member_probs = torch.stack([agree, contradict], dim=-1).unsqueeze(1)
        >>> tuple(member_probs.shape)  # (M, B, C, *spatial)
        (2, 1, 2, 2)
        >>> [round(v, 4) for v in mutual_information(member_probs).flatten().tolist()]
        [0.0, 0.6931]

    References:
        N. Houlsby, F. Huszar, Z. Ghahramani, M. Lengyel. Bayesian active learning for
        classification and preference learning. arXiv:1112.5745, 2011, equation 2.
    """
    check_members(member_probs, "member_probs")
    disagreement = predictive_entropy(member_probs) - expected_entropy(member_probs)
    return disagreement.clamp_min(0.0)


def _entropy(probs: Tensor, *, class_dim: int) -> Tensor:
    return torch.special.entr(_widened(probs)).sum(dim=class_dim, keepdim=True)


def _widened(probs: Tensor) -> Tensor:
    return probs.to(torch.promote_types(probs.dtype, torch.float32))
