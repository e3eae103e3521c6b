"""The ensemble's mean prediction, and how far a student is from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd._checks import check_batch, check_mask, check_members, check_positive, check_same_shape

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.types import Logits, Mask, MemberLogits, Probs

__all__ = ["distillation_kl", "ensemble_probs"]

_MEMBER_DIM = 0
_CLASS_DIM = 1


def ensemble_probs(member_logits: MemberLogits, *, temperature: float = 1.0) -> Probs:
    r"""Mean over the members of their class probabilities, :math:`\bar p_T`.

    .. math::
        \bar p_T = \tfrac{1}{M} \sum_m \mathrm{softmax}(z_m / T)

    Probabilities are averaged, not logits: the average of logits is as sharp as its members even
    where they contradict each other. One channel is the logit of the foreground, of which
    :math:`\mathrm{sigmoid}(z_m / T)` is averaged: a softmax over one channel would be one
    everywhere.

    Args:
        member_logits: logits of every member, ``(M, B, C, *spatial)``, any real values. The tensor
            is not modified.
        temperature: :math:`T`, above zero; larger is flatter.

    Returns:
        Probabilities of shape ``(B, C, *spatial)`` in ``[0, 1]``, summing to one over two classes
        or more; in float32 for a narrower input. One member gives that member's own probabilities.

    Raises:
        ValueError: if ``member_logits`` has another layout or no member, or ``temperature`` is not
            above zero.
        TypeError: if ``member_logits`` is not floating point.

    Example:
        Two members that contradict each other at one voxel, with odds of 3 to 1:

        >>> import math
        >>> import torch
        >>> from medkd.functional import ensemble_probs
        >>> member_logits = torch.tensor([[math.log(3), 0.0], [0.0, math.log(3)]])
        >>> ensemble_probs(member_logits.view(2, 1, 2, 1)).flatten().tolist()
        [0.5, 0.5]

    References:
        B. Lakshminarayanan, A. Pritzel, C. Blundell. Simple and scalable predictive uncertainty
        estimation using deep ensembles. NeurIPS 2017, arXiv:1612.01474, section 2.4.
    """
    check_members(member_logits, "member_logits", fewest=1)
    check_positive(temperature, "temperature")
    logits = member_logits.to(_wide_dtype(member_logits)) / temperature
    is_binary = logits.shape[_CLASS_DIM + 1] == 1
    probs = torch.sigmoid(logits) if is_binary else torch.softmax(logits, dim=_CLASS_DIM + 1)
    return probs.mean(dim=_MEMBER_DIM)


def distillation_kl(
    student_logits: Logits,
    teacher_probs: Probs,
    *,
    temperature: float,
    mask: Mask | None = None,
) -> Tensor:
    r"""Kullback-Leibler divergence of the student from its teacher, softened by a temperature.

    .. math::
        L = T^2 \, \frac{1}{|V|} \sum_{v \in V} \sum_c \bar p_{T,c}(v)
            \log \frac{\bar p_{T,c}(v)}{q_{T,c}(v)}, \qquad q_T = \mathrm{softmax}(z / T)

    over the voxels :math:`V` of the batch that count. The class axis is summed and the voxels are
    averaged, so the value does not grow with the patch. The factor :math:`T^2` keeps the size of
    the gradient when the temperature changes; for :math:`T \to \infty` the gradient becomes that of
    matching logits, :math:`(z - v) / C` for logits of zero mean.

    One channel is the logit of the foreground: then the sum is over background and foreground,
    whose probabilities are :math:`1 - \sigma(z / T)` and :math:`\sigma(z / T)`.

    For an ensemble, the mean over members of :math:`KL(p_m \| q)` differs from
    :math:`KL(\bar p \| q)` by a constant of the student, so the mean prediction is enough.

    Args:
        student_logits: the student's logits :math:`z`, ``(B, C, *spatial)``, not yet divided by the
            temperature.
        teacher_probs: the teacher's probabilities **at this temperature**, such as
            :func:`ensemble_probs` returns, ``(B, C, *spatial)`` in ``[0, 1]``, summing to one over
            two classes or more. Zero is allowed. They are constants: no gradient reaches them.
        temperature: :math:`T`, above zero.
        mask: bool ``(B, 1, *spatial)``, the voxels that count; ``None`` for all.

    Returns:
        Scalar tensor in nats, zero or more; in float32, or float64 for float64 logits, also under
        autocast. Zero, with zero gradient, when the mask is empty, so that a patch outside the
        field of view neither stops nor moves a training.

    Raises:
        ValueError: if a shape does not fit or ``temperature`` is not above zero.
        TypeError: if a tensor is not floating point or ``mask`` not bool.

    Example:
        A student that says 1/2 where the teacher is certain is off by log 2:

        >>> import torch
        >>> from medkd.functional import distillation_kl
        >>> teacher_probs = torch.tensor([1.0, 0.0]).view(1, 2, 1)
        >>> round(distillation_kl(torch.zeros(1, 2, 1), teacher_probs, temperature=1.0).item(), 4)
        0.6931

    References:
        G. Hinton, O. Vinyals, J. Dean. Distilling the knowledge in a neural network.
        arXiv:1503.02531, 2015, section 2, equations 2 to 4.
        J. Fadugba et al. Uncertainty-aware retinal vessel segmentation via ensemble distillation.
        arXiv:2509.11689, 2025 (EnD-KL).
        R. Biswas. Multi-task multi-scale contrastive knowledge distillation for efficient medical
        image segmentation. arXiv:2406.03173, 2024 (prediction-map distillation), whose released
        code takes the softmax over one channel, which makes this loss zero for any student.
    """
    check_batch(student_logits, "student_logits", fewest=1)
    check_batch(teacher_probs, "teacher_probs", fewest=1)
    check_same_shape(teacher_probs, student_logits, "teacher_probs", "student_logits")
    check_mask(mask, student_logits)
    check_positive(temperature, "temperature")
    dtype = _wide_dtype(student_logits)
    logits, probs = student_logits.to(dtype) / temperature, teacher_probs.detach().to(dtype)
    if logits.shape[_CLASS_DIM] == 1:
        # The softmax of (0, z) is (1 - sigmoid(z), sigmoid(z)).
        logits = torch.cat([torch.zeros_like(logits), logits], dim=_CLASS_DIM)
        probs = torch.cat([1 - probs, probs], dim=_CLASS_DIM)
    divergence = _kl_per_voxel(probs, torch.log_softmax(logits, dim=_CLASS_DIM))
    return temperature**2 * _mean_over(divergence, mask)


def _kl_per_voxel(probs: Tensor, other_log_probs: Tensor) -> Tensor:
    """Divergence of every voxel, ``(B, 1, *spatial)``, from ``q - p + p log(p/q)``.

    The terms ``q - p`` that this adds to ``p log(p/q)`` sum to zero over the classes. With them
    each summand is zero or more and second order in ``log(q/p)``, so that rounding cancels where
    student and teacher agree, instead of adding up to some 1e-7 of either sign.
    """
    # The clamp keeps q/p in the range of the dtype; where p is zero the summand is q, its limit.
    log_ratio = other_log_probs - probs.clamp_min(torch.finfo(probs.dtype).tiny).log()
    near = probs * (torch.expm1(log_ratio) - log_ratio)
    far = other_log_probs.exp() - probs - probs * log_ratio
    return torch.where(log_ratio.abs() < 1, near, far).sum(dim=_CLASS_DIM, keepdim=True)


def _mean_over(voxel_map: Tensor, mask: Mask | None) -> Tensor:
    if mask is None:
        return voxel_map.mean()
    # `where` rather than indexing: no wait for the device to count the voxels.
    total = torch.where(mask, voxel_map, torch.zeros_like(voxel_map)).sum()
    return total / mask.sum().clamp_min(1)


def _wide_dtype(tensor: Tensor) -> torch.dtype:
    return torch.promote_types(tensor.dtype, torch.float32)
