"""Class probabilities in one byte each, for storing what a teacher said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from medkd._checks import check_batch

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Probs

__all__ = ["decode_probs", "encode_probs"]

_MAX_CODE = 255
_HALF_PI = math.pi / 2

# The share of every code, sin^2 of its angle. Read backwards it is cos^2, what the share leaves.
_ANGLES = torch.arange(_MAX_CODE + 1, dtype=torch.float64) * (_HALF_PI / _MAX_CODE)
_SHARES = _ANGLES.sin().square().to(torch.float32)


def encode_probs(probs: Probs) -> Tensor:
    r"""Class probabilities as one byte per class but the first, ``C - 1`` bytes per voxel.

    The classes 1, 2, ..., C-1 and at last class 0 are split off one after the other; the share
    that class :math:`c` takes of what the classes before it have left is stored as an angle,

    .. math::
        \mathrm{code}_c = \mathrm{round}\Big(255 \cdot \tfrac{2}{\pi} \arcsin\sqrt{s_c}\Big),
        \qquad s_c = \frac{p_c}{p_c + p_{c+1} + \dots + p_{C-1} + p_0}

    With two classes that is the arcsine of the root of :math:`p_1`. The arcsine stabilizes the
    variance: steps of the code are equally long in the Fisher-Rao metric, so the loss of
    information is the same for a probability of 0.5 as for one of 0.001, where equal steps of
    :math:`p` would lose the tails. Because what is stored are shares, the divergences add up (chain
    rule): :math:`KL(\mathrm{decoded} \| p) \le (C - 1) \cdot 2.5 \cdot 10^{-5}` nats at every
    voxel, whatever the probabilities. The smallest share above zero is
    :math:`(\pi / 510)^2 \approx 3.8 \cdot 10^{-5}`; less than a quarter of it is stored as zero.

    Codes are angles, not quantities: decode before interpolating. Flips, crops and right-angle
    rotations may move the codes themselves.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``, in ``[0, 1]``, summing to one over ``C``.
            The tensor is not modified.

    Returns:
        uint8 tensor of shape ``(B, C - 1, *spatial)``; channel ``c - 1`` belongs to class ``c``.

    Raises:
        ValueError: if ``probs`` has another layout.
        TypeError: if ``probs`` is not floating point.

    Example:
        >>> import torch
        >>> from medkd.functional import encode_probs
        >>> foreground = torch.tensor([0.0, 0.001, 0.25, 0.6, 1.0])
        >>> probs = torch.stack([1 - foreground, foreground]).unsqueeze(0)  # (B, C, *spatial)
        >>> encode_probs(probs).flatten().tolist()
        [0, 5, 85, 144, 255]

    References:
        M. S. Bartlett. The use of transformations. Biometrics 3(1), 39-52, 1947 (the arcsine of the
        root of a proportion).
    """
    check_batch(probs, "probs")
    # (B, C, *spatial) with class 0 last, where the remainder of all others belongs.
    ordered = probs.to(torch.promote_types(probs.dtype, torch.float32)).roll(-1, dims=1)
    roots = ordered.clamp_min(0)
    rest = roots.flip(1).cumsum(dim=1).flip(1)[:, 1:]  # sum of the classes after this one
    # arctan2 of both parts instead of arcsin of their ratio: exact where either is tiny, 0 for 0/0.
    angles = torch.atan2(roots[:, :-1].sqrt(), rest.sqrt())
    return (angles * (_MAX_CODE / _HALF_PI)).round().to(torch.uint8)


def decode_probs(codes: Tensor) -> Probs:
    """Class probabilities from the codes of :func:`encode_probs`.

    Args:
        codes: uint8 ``(B, C - 1, *spatial)``. The tensor is not modified.

    Returns:
        float32 ``(B, C, *spatial)`` in ``[0, 1]``, summing to one over ``C`` up to rounding; on the
        device of ``codes``.

    Raises:
        ValueError: if ``codes`` has another layout.
        TypeError: if ``codes`` is not uint8.

    Example:
        >>> import torch
        >>> from medkd.functional import decode_probs
        >>> codes = torch.tensor([[[0, 85, 255]]], dtype=torch.uint8)
        >>> [[round(v, 4) for v in row] for row in decode_probs(codes)[0].tolist()]
        [[1.0, 0.75, 0.0], [0.0, 0.25, 1.0]]
    """
    if codes.dtype != torch.uint8:
        raise TypeError(f"Expected `codes` of dtype torch.uint8, but got {codes.dtype}.")
    if not 3 <= codes.ndim <= 5 or codes.shape[1] < 1:
        raise ValueError(
            "Expected `codes` of shape (B, C - 1, *spatial) with one to three spatial axes, "
            f"but got shape {tuple(codes.shape)}."
        )
    table = _SHARES.to(codes.device)
    index = codes.int()
    shares, rests = table[index], table[_MAX_CODE - index]
    # What the classes before this one have left: 1, 1-s_1, (1-s_1)(1-s_2), ...
    left = rests.cumprod(dim=1)
    foreground = torch.cat([shares[:, :1], shares[:, 1:] * left[:, :-1]], dim=1)
    return torch.cat([left[:, -1:], foreground], dim=1)
