"""Class probabilities in one byte each, for storing what a teacher said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from medkd._checks import check_batch
from medkd.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Probs

__all__ = ["decode_probs", "encode_probs"]

_MAX_CODE = 255
_HALF_PI = math.pi / 2
_SLAB_VALUES = 1 << 22  # 16 MB of float32

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
    num_batch, num_classes, *spatial = probs.shape
    codes = probs.new_empty((num_batch, num_classes - 1, *spatial), dtype=torch.uint8)
    # A slab at a time: the float temporaries of a whole volume are several times its size.
    planes = max(1, _SLAB_VALUES * spatial[0] // max(1, probs.numel()))
    for start in range(0, spatial[0], planes):
        slab = (slice(None), slice(None), slice(start, start + planes))
        codes[slab] = _codes_of(probs[slab])
    return codes


def _codes_of(probs: Probs) -> Tensor:
    """Codes of a slab, the last share first; class 0 is what remains behind all others."""
    roots = probs.to(torch.promote_types(probs.dtype, torch.float32)).clamp_min(0)
    codes = torch.empty_like(roots[:, 1:], dtype=torch.uint8)
    rest = roots[:, 0]
    for index in reversed(range(1, roots.shape[1])):
        share = roots[:, index]
        # arctan2 of both parts, not arcsin of their ratio: exact where either is tiny, 0 for 0/0.
        angle = torch.atan2(share.sqrt(), rest.sqrt())
        codes[:, index - 1] = (angle * (_MAX_CODE / _HALF_PI)).round().to(torch.uint8)
        rest = rest + share
    return codes


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
        raise InvalidTypeError(f"Expected `codes` of dtype torch.uint8, but got {codes.dtype}.")
    if not 3 <= codes.ndim <= 5 or codes.shape[1] < 1:
        raise InvalidValueError(
            "Expected `codes` of shape (B, C - 1, *spatial) with one to three spatial axes, "
            f"but got shape {tuple(codes.shape)}."
        )
    shares = _SHARES.to(codes.device)
    rests = shares.flip(0)
    num_batch, num_codes, *spatial = codes.shape
    probs = shares.new_empty((num_batch, num_codes + 1, *spatial))
    left = shares.new_ones((num_batch, *spatial))  # by the classes before this one
    for channel in range(num_codes):
        # `index_select` is several times as fast as indexing with a volume.
        index = codes[:, channel].reshape(-1).int()
        probs[:, channel + 1] = shares.index_select(0, index).view_as(left) * left
        left = left * rests.index_select(0, index).view_as(left)
    probs[:, 0] = left
    return probs
