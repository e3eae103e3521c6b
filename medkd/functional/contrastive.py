"""How far a student's embeddings of positions are from a teacher's, by contrast with others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn.functional import normalize, softplus

from medkd._checks import check_at_least, check_embeddings, check_positive
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["contrastive_representation", "supervised_info_nce"]

_EMBEDDING_DIM = 1


def supervised_info_nce(
    anchors: Tensor,
    keys: Tensor,
    *,
    anchor_classes: Tensor,
    key_classes: Tensor,
    temperature: float,
) -> Tensor:
    r"""Supervised InfoNCE: anchors are drawn to the keys of their class, away from all others.

    .. math::
        L = \frac{1}{|A|} \sum_{i \in A} \frac{-1}{|P(i)|} \sum_{k \in P(i)}
            \log \frac{\exp(s_i \cdot t_k / \tau)}{\sum_j \exp(s_i \cdot t_j / \tau)}

    over the anchors :math:`A` that have a positive; :math:`P(i)` are the keys of the anchor's
    class, in whichever image, and :math:`j` runs over all keys. Both embeddings are normalized to
    unit length here.

    Args:
        anchors: the student's embeddings :math:`s`, one a row, ``(N, D)``, any real values.
        keys: the teacher's embeddings :math:`t`, ``(K, D)``. They are not detached: a projection
            of the teacher's features is trained by this loss, too.
        anchor_classes: class of each anchor, whole numbers ``(N,)``.
        key_classes: class of each key, whole numbers ``(K,)``.
        temperature: :math:`\tau`, above zero.

    Returns:
        Scalar tensor in nats, zero or more; in float32, or float64 for float64 embeddings, also
        under autocast. Keys that are all alike give the logarithm of their number. Zero, with zero
        gradient, where no anchor has a positive.

    Raises:
        ValueError: if a shape does not fit, or ``temperature`` is not above zero.
        TypeError: if embeddings are not floating point.

    Example:
        One anchor, its positive alike and one negative at a right angle, at temperature 1:
        ``log(1 + 1 / e)``:

        >>> import torch
        >>> from medkd.functional import supervised_info_nce
        >>> keys = torch.eye(2)
        >>> classes = torch.tensor([0, 1])
        >>> loss = supervised_info_nce(
        ...     keys[:1], keys, anchor_classes=classes[:1], key_classes=classes, temperature=1.0
        ... )
        >>> round(loss.item(), 4)
        0.3133

    References:
        A. van den Oord, Y. Li, O. Vinyals. Representation learning with contrastive predictive
        coding. arXiv:1807.03748, 2018 (InfoNCE). P. Khosla et al. Supervised contrastive learning.
        NeurIPS 2020, arXiv:2004.11362, equation 2. Between teacher and student: R. Biswas.
        Multi-task multi-scale contrastive knowledge distillation for efficient medical image
        segmentation. arXiv:2406.03173, 2024, whose released code uses no classes.
    """
    check_embeddings(anchors, keys, "anchors", "keys")
    _check_classes(anchor_classes, anchors, "anchor_classes")
    _check_classes(key_classes, keys, "key_classes")
    check_positive(temperature, "temperature")
    log_probs = torch.log_softmax(_similarities(anchors, keys) / temperature, dim=1)  # (N, K)
    positive = anchor_classes[:, None] == key_classes[None]
    num_positives = positive.sum(dim=1)
    # `where` before the sum: the gradient of what is not positive is exactly zero.
    sums = torch.where(positive, log_probs, log_probs.new_zeros(())).sum(dim=1)
    each = -sums / num_positives.clamp(min=1)
    return each.sum() / (num_positives > 0).sum().clamp(min=1)


def contrastive_representation(
    anchors: Tensor,
    positives: Tensor,
    negatives: Tensor,
    *,
    bank_size: int,
    temperature: float,
    log_normalizer: float | Tensor = 0.0,
    excluded: Tensor | None = None,
) -> Tensor:
    r"""Contrastive representation distillation (CRD): which of many is the pair of the anchor?

    .. math::
        L = \frac{1}{N} \sum_i \Big( -\log h(s_i, t_i)
            - \sum_{j=1}^{K} \log\big(1 - h(s_i, t'_j)\big) \Big), \qquad
        h(s, t) = \frac{e^{s \cdot t / \tau} / Z}{e^{s \cdot t / \tau} / Z + K / M}

    for :math:`K` negatives out of a bank of :math:`M` embeddings. All are normalized to unit length
    here. The paper's :math:`h` has :math:`Z = 1`, with which even embeddings at right angles cost
    thousands of nats when there are thousands of negatives; the authors' released code has a
    constant :math:`Z`, an estimate of :math:`M\, E[e^{s \cdot t / \tau}]`, as noise contrastive
    estimation wants it. It is computed with :math:`h = \sigma(s \cdot t / \tau - \log Z -
    \log(K / M))` and stable softplus, never with the quotient.

    Args:
        anchors: embeddings :math:`s`, one a row, ``(N, D)``, any real values.
        positives: the pair of each anchor, :math:`t`, ``(N, D)``.
        negatives: embeddings :math:`t'` of other positions, ``(K, D)``, the same for all anchors;
            with none, only the first term is left, at :math:`K = 1`.
        bank_size: :math:`M`, how many embeddings the negatives were drawn from, at least 1.
        temperature: :math:`\tau`, above zero.
        log_normalizer: :math:`\log Z`, a constant.
        excluded: bool ``(N, K)``, the negatives that do not count for an anchor; none by default.

    Returns:
        Scalar tensor in nats, zero or more; in float32, or float64 for float64 embeddings, also
        under autocast. Zero, with zero gradient, without anchors.

    Raises:
        ValueError: if a shape does not fit, or a number is out of range.
        TypeError: if embeddings are not floating point.

    Example:
        A pair alike and one negative at a right angle, of a bank of one, at temperature 1:
        ``h`` is ``e / (e + 1)`` and ``1 / 2``:

        >>> import torch
        >>> from medkd.functional import contrastive_representation
        >>> x, y = torch.eye(2).split(1)
        >>> round(contrastive_representation(x, x, y, bank_size=1, temperature=1.0).item(), 4)
        1.0064

    References:
        Y. Tian, D. Krishnan, P. Isola. Contrastive representation distillation. ICLR 2020,
        arXiv:1910.10699, section 3.1. In an ensemble's student for segmentation: J. Fadugba
        et al. arXiv:2509.11689, 2025 (EnD-CRD).
    """
    check_embeddings(anchors, positives, "anchors", "positives")
    check_embeddings(anchors, negatives, "anchors", "negatives")
    if positives.shape != anchors.shape:
        raise InvalidValueError(
            f"Expected `positives` of the shape of `anchors`, {tuple(anchors.shape)}, but got "
            f"shape {tuple(positives.shape)}."
        )
    check_at_least(bank_size, 1, "bank_size")
    check_positive(temperature, "temperature")
    shift = math.log(max(len(negatives), 1) / bank_size) + log_normalizer
    pairs = (_unit(anchors) * _unit(positives)).sum(dim=_EMBEDDING_DIM) / temperature - shift
    others = _similarities(anchors, negatives) / temperature - shift  # (N, K)
    contrast = softplus(others)
    if excluded is not None:
        contrast = contrast.masked_fill(excluded, 0.0)
    return (softplus(-pairs).sum() + contrast.sum()) / max(len(anchors), 1)


def _similarities(anchors: Tensor, keys: Tensor) -> Tensor:
    """Cosine of every anchor with every key, ``(N, K)``."""
    # Autocast would multiply in half precision, in which a temperature of 0.07 leaves two digits.
    with torch.autocast(anchors.device.type, enabled=False):
        return _unit(anchors) @ _unit(keys).T


def _unit(embeddings: Tensor) -> Tensor:
    wide = torch.promote_types(embeddings.dtype, torch.float32)
    return normalize(embeddings.to(wide), dim=_EMBEDDING_DIM)


def _check_classes(classes: Tensor, like: Tensor, name: str) -> None:
    if classes.shape != like.shape[:1] or classes.is_floating_point():
        raise InvalidValueError(
            f"Expected `{name}` of whole numbers and shape {tuple(like.shape[:1])}, one for each "
            f"embedding, but got {classes.dtype} of shape {tuple(classes.shape)}."
        )
