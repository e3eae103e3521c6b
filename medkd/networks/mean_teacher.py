"""A network and the moving average of its weights, as one module."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MeanTeacher"]

# Noise beyond so many standard deviations is cut off, as in the published segmentation code.
_MAX_DEVIATIONS = 2.0


class MeanTeacher(nn.Module):
    r"""A student, and a teacher whose weights are the exponential moving average of the student's.

    After step :math:`t` (from zero) of the student's weights :math:`\theta`, the teacher has

    .. math::
        \theta' \leftarrow \alpha_t\, \theta' + (1 - \alpha_t)\, \theta, \qquad
        \alpha_t = \min\big(1 - \tfrac{1}{t + 1},\, \alpha\big)

    so that it is the plain mean of the first steps. Running statistics are averaged likewise, and
    counters are copied.

    Unlike the other teachers of this package it is awake: in training mode it draws its own dropout
    and its own noise on the image, normalizes by its own batches and so moves its running
    statistics, as in the paper, which wants teacher and student disturbed independently, and in its
    released code. But it never has a gradient, and in evaluation mode only the student answers.

    Args:
        network: the student; the teacher starts as its copy.
        decay: :math:`\alpha` in ``[0, 1)``.
        noise: standard deviation of the normal noise on the teacher's image, cut off at twice that;
            zero for none. The default is for intensities of about unit variance.

    Shape:
        - image: ``(B, C_in, *spatial)``
        - returns in training mode: a list of the student's output and the teacher's, the latter
          without gradient; an output may be a list of heads
        - returns in evaluation mode: the student's output

    Raises:
        ValueError: if ``decay`` is outside ``[0, 1)``, or ``noise`` below zero.

    Example:
        The first step is copied; of the first two steps the teacher is the mean:

        >>> network = MeanTeacher(nn.Conv1d(1, 2, 1, bias=False))
        >>> for value in (2.0, 4.0):
        ...     _ = nn.init.constant_(network.student.weight, value)
        ...     network.after_step()
        >>> student, teacher = network.networks
        >>> teacher.weight.flatten().tolist()
        [3.0, 3.0]

    References:
        A. Tarvainen, H. Valpola. Mean teachers are better role models: weight-averaged consistency
        targets improve semi-supervised deep learning results. NeurIPS 2017, arXiv:1703.01780,
        section 2. The first steps, the teacher's training mode and a decay of 0.99 are those of
        the code that the authors, and for segmentation L. Yu et al. (UA-MT, MICCAI 2019,
        arXiv:1907.07034), released; so is the noise, which there is on unlabeled images alone.
    """

    def __init__(self, network: nn.Module, *, decay: float = 0.99, noise: float = 0.1) -> None:
        super().__init__()
        if not 0.0 <= decay < 1.0:
            raise InvalidValueError(
                f"Expected `decay` to be at least 0 and below 1, but got {decay}."
            )
        if not noise >= 0.0:  # this way round, NaN is refused
            raise InvalidValueError(f"Expected `noise` to be zero or more, but got {noise}.")
        self.decay = float(decay)
        self.noise = float(noise)
        self.student = network
        average = partial(_average, decay=self.decay)
        self.teacher = AveragedModel(network, multi_avg_fn=average, use_buffers=True)
        self.teacher.requires_grad_(requires_grad=False)

    @property
    def networks(self) -> list[nn.Module]:
        """The networks themselves: the student, the teacher."""
        return [self.student, self.teacher.module]

    @property
    def num_trained(self) -> int:
        """How many of the networks, counted from the first, learn from labels: the student."""
        return 1

    def after_step(self) -> None:
        """Take the student's new weights into the average."""
        self.teacher.update_parameters(self.student)

    def forward(self, image: Tensor) -> list[Tensor | Sequence[Tensor]] | Tensor | Sequence[Tensor]:
        """Both outputs in training mode, the student's in evaluation mode."""
        student_output = self.student(image)
        if not self.training:
            return student_output
        with torch.no_grad():
            return [student_output, self.teacher(self._disturbed(image))]

    def extra_repr(self) -> str:
        """The configuration, for printing."""
        return f"decay={self.decay}, noise={self.noise}"

    def _disturbed(self, image: Tensor) -> Tensor:
        if self.noise == 0:
            return image
        deviations = torch.randn_like(image).clamp_(-_MAX_DEVIATIONS, _MAX_DEVIATIONS)
        return image + self.noise * deviations


def _average(
    averaged: Sequence[Tensor],
    current: Sequence[Tensor],
    num_averaged: Tensor | int,
    *,
    decay: float,
) -> None:
    """Move averaged tensors, which are of one dtype, towards the current ones."""
    if averaged[0].is_floating_point():
        now = min(1.0 - 1.0 / (int(num_averaged) + 1), decay)
        get_ema_multi_avg_fn(now)(averaged, current, num_averaged)
        return
    # A count of batches that is averaged and rounded down would stand still.
    for old, new in zip(averaged, current, strict=True):
        old.copy_(new)
