"""How far networks that are trained together are from each other."""

from __future__ import annotations

from itertools import combinations, permutations
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import cross_entropy

from medkd._checks import check_members, check_positive
from medkd.errors import InvalidValueError
from medkd.functional.distillation import distillation_kl

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import MemberLogits

__all__ = ["consistency", "cross_pseudo_label", "mutual_dice", "mutual_kl"]

_PEER_DIM = 0
_CLASS_DIM = 2
_SMOOTHING = 1e-5


def mutual_dice(
    peer_logits: MemberLogits, *, temperature: float, include_background: bool = False
) -> Tensor:
    r"""Dice loss of the peers' softened probabilities with each other: deep mutual distillation.

    For two peers

    .. math::
        L = \frac{1}{|K|} \sum_{c \in K} \Big(1 - \frac{2 \sum_v p_c q_c + \varepsilon}
            {\sum_v p_c^2 + \sum_v q_c^2 + \varepsilon}\Big), \qquad
        p = \mathrm{softmax}(z_1 / T), \quad q = \mathrm{softmax}(z_2 / T)

    with :math:`\varepsilon = 10^{-5}`, sums over all voxels :math:`v` of the batch and the mean
    over the classes :math:`K` that count. For :math:`M` peers it is the sum over all pairs divided
    by :math:`M - 1`, so that each network keeps its balance of label and peers. Gradients flow into
    every peer.

    It is computed as :math:`\sum_v (p_c - q_c)^2` over the same denominator, which is the same
    number without the cancellation: exactly zero for peers that agree.

    Args:
        peer_logits: logits of every peer, ``(M, B, C, *spatial)``, any real values, not yet divided
            by the temperature. The tensor is not modified.
        temperature: :math:`T`, above zero. A high one, which leaves probabilities of high entropy,
            is the point of the method: 2 in the paper. As it grows, all probabilities approach
            :math:`1/C` and the loss zero.
        include_background: whether class 0 counts.

    Returns:
        Scalar tensor in ``[0, M/2)``; in float32, or float64 for float64 logits, also under
        autocast.

    Raises:
        ValueError: if ``peer_logits`` has another layout or fewer than two peers, or
            ``temperature`` is not above zero.
        TypeError: if ``peer_logits`` is not floating point.

    Example:
        Foreground of 1/2 and of 1/4 at one voxel: ``(1/4)**2 / (1/4 + 1/16)``, but for the
        smoothing:

        >>> import math
        >>> import torch
        >>> from medkd.functional import mutual_dice
        >>> peer_logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]]).view(2, 1, 2, 1)
        >>> round(mutual_dice(peer_logits, temperature=1.0).item(), 3)
        0.2

    References:
        Y. Xie, Y. Yin, Q. Li, Y. Wang. Deep mutual distillation for semi-supervised medical image
        segmentation. MICCAI 2023, LNCS 14222, 540-550. The paper has two peers; the form for more
        is ours.
    """
    _check_peers(peer_logits)
    check_positive(temperature, "temperature")
    probs = torch.softmax(_widened(peer_logits) / temperature, dim=_CLASS_DIM)
    if not include_background:
        probs = probs[:, :, 1:]
    voxel_dims = [0, *range(_CLASS_DIM, probs.ndim - 1)]  # of one peer: all but its classes
    squares = [peer.square().sum(dim=voxel_dims) for peer in probs]  # each (C,)
    pairs = [
        (probs[i] - probs[j]).square().sum(dim=voxel_dims) / (squares[i] + squares[j] + _SMOOTHING)
        for i, j in combinations(range(len(probs)), 2)
    ]
    return torch.stack(pairs).mean(dim=1).sum() / (len(probs) - 1)


def mutual_kl(peer_logits: MemberLogits, *, temperature: float) -> Tensor:
    r"""Kullback-Leibler divergence of each peer from the others: deep mutual learning.

    .. math::
        L = \sum_i \frac{1}{M - 1} \sum_{j \ne i} T^2\, KL(p_j \| p_i), \qquad
        p_i = \mathrm{softmax}(z_i / T)

    as a mean over the voxels of the batch, see :func:`distillation_kl`. Within each term the peer
    that is learned from, :math:`p_j`, is a constant.

    Args:
        peer_logits: logits of every peer, ``(M, B, C, *spatial)``, any real values, not yet divided
            by the temperature. The tensor is not modified.
        temperature: :math:`T`, above zero; 1 in the paper.

    Returns:
        Scalar tensor in nats, zero or more; in float32, or float64 for float64 logits, also under
        autocast.

    Raises:
        ValueError: if ``peer_logits`` has another layout or fewer than two peers, or
            ``temperature`` is not above zero.
        TypeError: if ``peer_logits`` is not floating point.

    Example:
        For (1/2, 1/2) and (1/4, 3/4) both directions together are ``log(3) / 4``:

        >>> import math
        >>> import torch
        >>> from medkd.functional import mutual_kl
        >>> peer_logits = torch.tensor([[0.0, 0.0], [0.0, math.log(3)]]).view(2, 1, 2, 1)
        >>> round(mutual_kl(peer_logits, temperature=1.0).item(), 4)
        0.2747

    References:
        Y. Zhang, T. Xiang, T. M. Hospedales, H. Lu. Deep mutual learning. CVPR 2018,
        arXiv:1706.00384, section 3.3 for more than two networks. There the networks step in turn;
        here all step at once. The factor :math:`T^2` is that of G. Hinton, O. Vinyals, J. Dean,
        arXiv:1503.02531.
    """
    _check_peers(peer_logits)
    check_positive(temperature, "temperature")
    probs = torch.softmax(_widened(peer_logits.detach()) / temperature, dim=_CLASS_DIM)
    return _mean_over_peers(
        [
            distillation_kl(peer_logits[i], probs[j], temperature=temperature)
            for i, j in permutations(range(len(probs)), 2)
        ],
        num_peers=len(probs),
    )


def cross_pseudo_label(peer_logits: MemberLogits) -> Tensor:
    r"""Cross-entropy of each peer with the classes that the others choose.

    .. math::
        L = \sum_i \frac{1}{M - 1} \sum_{j \ne i} -\log p_{i, c_j}, \qquad
        c_j = \arg\max_c z_{j,c}, \quad p_i = \mathrm{softmax}(z_i)

    as a mean over the voxels of the batch. The pseudo labels :math:`c_j` are constants; where two
    classes tie, one of them is taken.

    Args:
        peer_logits: logits of every peer, ``(M, B, C, *spatial)``, any real values. The tensor is
            not modified.

    Returns:
        Scalar tensor in nats, zero or more; in float32, or float64 for float64 logits, also under
        autocast. Peers that agree still have a loss until they are certain.

    Raises:
        ValueError: if ``peer_logits`` has another layout or fewer than two peers.
        TypeError: if ``peer_logits`` is not floating point.

    Example:
        Two peers with odds of 3 to 1 for different classes: each gives the other's choice 1/4,
        which is ``log(4)`` twice:

        >>> import math
        >>> import torch
        >>> from medkd.functional import cross_pseudo_label
        >>> peer_logits = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])
        >>> round(cross_pseudo_label(peer_logits.view(2, 1, 2, 1)).item(), 4)
        2.7726

    References:
        X. Chen, Y. Yuan, G. Zeng, J. Wang. Semi-supervised semantic segmentation with cross pseudo
        supervision. CVPR 2021, arXiv:2106.01226. The paper has two peers; the form for more is
        ours.
    """
    _check_peers(peer_logits)
    logits = _widened(peer_logits)
    pseudo_label = logits.detach().argmax(dim=_CLASS_DIM)  # (M, B, *spatial)
    return _mean_over_peers(
        [cross_entropy(logits[i], pseudo_label[j]) for i, j in permutations(range(len(logits)), 2)],
        num_peers=len(logits),
    )


def consistency(peer_logits: MemberLogits) -> Tensor:
    r"""Mean squared difference of the first peer's probabilities from the others': mean teacher.

    .. math::
        L = \frac{1}{M - 1} \sum_{j > 1} \frac{1}{C\,|V|} \sum_{v, c} (p_{1,c} - p_{j,c})^2,
        \qquad p = \mathrm{softmax}(z)

    Unlike elsewhere in this package the classes are averaged, not summed, for that is the size to
    which the published weights belong. Peer 1 is the student; the others, which are averages of its
    weights, are constants.

    Args:
        peer_logits: logits of every peer, the student's first, ``(M, B, C, *spatial)``, any real
            values. The tensor is not modified.

    Returns:
        Scalar tensor in ``[0, 2/C]``; in float32, or float64 for float64 logits, also under
        autocast.

    Raises:
        ValueError: if ``peer_logits`` has another layout or fewer than two peers.
        TypeError: if ``peer_logits`` is not floating point.

    Example:
        A student that says 1/2 where its teacher is certain:

        >>> import torch
        >>> from medkd.functional import consistency
        >>> peer_logits = torch.tensor([[0.0, 0.0], [200.0, 0.0]]).view(2, 1, 2, 1)
        >>> consistency(peer_logits).item()
        0.25

    References:
        A. Tarvainen, H. Valpola. Mean teachers are better role models: weight-averaged consistency
        targets improve semi-supervised deep learning results. NeurIPS 2017, arXiv:1703.01780,
        section 2.
    """
    _check_peers(peer_logits)
    probs = torch.softmax(_widened(peer_logits), dim=_CLASS_DIM)
    return (probs[:1] - probs[1:].detach()).square().mean()


def _mean_over_peers(terms: list[Tensor], *, num_peers: int) -> Tensor:
    """Sum over the peers of each one's mean over the others; a term is of one peer and another."""
    return torch.stack(terms).sum() / (num_peers - 1)


def _check_peers(peer_logits: MemberLogits) -> None:
    check_members(peer_logits, "peer_logits")
    if peer_logits.shape[_PEER_DIM] < 2:
        raise InvalidValueError(
            "Expected `peer_logits` of at least two peers, but got shape "
            f"{tuple(peer_logits.shape)}."
        )


def _widened(tensor: Tensor) -> Tensor:
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
