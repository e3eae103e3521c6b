"""What the metrics that take a mask have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.distributed
from monai.metrics import CumulativeIterationMetric, do_metric_reduction
from monai.utils import MetricReduction, evenly_divisible_all_gather

from medkd.errors import FailureError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monai.config import TensorOrList
    from torch import Tensor

__all__ = ["MaskedMetric"]


class MaskedMetric(CumulativeIterationMetric):
    """MONAI's cumulative metric for one score per case, with a mask of the voxels that count.

    Subclasses implement ``_compute_tensor(y_pred, y, mask=None)`` and return ``(B, 1)`` scores.

    Where several processes share the cases out, what is aggregated or read is of all of them, in
    the order of the processes. Each must then ask for it, also one that saw no case.

    Args:
        reduction: one of MONAI's reductions over the cases that have a score; ``"mean"`` or
            ``"none"`` are the ones that mean something for one score per case.
        get_not_nans: whether ``aggregate`` also returns how many cases had a score.

    Raises:
        ValueError: if ``reduction`` is none of MONAI's.
    """

    _synced: bool  # MONAI's own: whether the buffers of all processes have been gathered

    def __init__(
        self, reduction: MetricReduction | str = MetricReduction.MEAN, get_not_nans: bool = False
    ) -> None:
        super().__init__()
        known = [str(known.value) for known in MetricReduction]
        if str(reduction) not in known:
            raise InvalidValueError(
                f"Expected `reduction` to be one of {known}, but got {reduction!r}."
            )
        self.reduction = MetricReduction(reduction)
        self.get_not_nans = get_not_nans

    def __call__(
        self, y_pred: TensorOrList, y: TensorOrList, mask: TensorOrList | None = None
    ) -> Tensor:
        """Add a batch, or a list of cases of different sizes, to the cases seen.

        Args:
            y_pred: probabilities ``(B, C, *spatial)``, or a list of ``(C, *spatial)``.
            y: class index ``(B, 1, *spatial)``, or a list of ``(1, *spatial)``.
            mask: bool, of the form of ``y``, or ``None``.

        Returns:
            The score of each of these cases, float64 ``(B, 1)``.
        """
        return super().__call__(y_pred, y, mask=mask)

    def _compute_list(
        self,
        y_pred: Sequence[Tensor],
        y: Sequence[Tensor],
        mask: Sequence[Tensor] | None = None,
    ) -> Tensor | list[Tensor]:
        """Score cases of different sizes, one by one, each with its own mask.

        MONAI hands keyword arguments to every case unchanged; a list of masks has to be taken apart
        like the predictions.
        """
        if len(y) != len(y_pred) or (mask is not None and len(mask) != len(y_pred)):
            raise InvalidValueError(
                f"Expected `y_pred`, `y` and `mask` to be of one length, but got {len(y_pred)}, "
                f"{len(y)} and {None if mask is None else len(mask)}."
            )
        masks = [None] * len(y_pred) if mask is None else [part.unsqueeze(0) for part in mask]
        scores = [
            self._compute_tensor(p.detach()[None], y_.detach()[None], mask=mask_)
            for p, y_, mask_ in zip(y_pred, y, masks, strict=True)
        ]
        if isinstance(scores[0], torch.Tensor):
            return torch.cat(scores)
        return [torch.cat(parts) for parts in zip(*scores, strict=True)]

    def _sync(self) -> None:
        """Gather the buffers of all processes.

        MONAI 1.6.1 has a process that saw no case leave at once, for which the others wait forever:
        five cases on eight GPUs. Such a process joins in with nothing, in the others' layout.
        """
        if self._synced or not _is_shared_out():
            super()._sync()
            return
        own = None if self._buffers is None else [torch.stack(buffer) for buffer in self._buffers]
        layout = _layout_of_all(own)
        if layout is not None:
            parts = own or [torch.empty((0, *shape), dtype=dtype) for shape, dtype in layout]
            self._synced_tensors = [evenly_divisible_all_gather(part) for part in parts]
        self._synced = True

    def aggregate(
        self, reduction: MetricReduction | str | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Reduce the scores of all cases seen, leaving out those that are NaN.

        Args:
            reduction: instead of that of the constructor, if given.

        Returns:
            The reduced score, float64 for ``"mean"`` and ``"none"``. NaN if no case had a score:
            MONAI's own reduction says 0 there, which for an error is the best one possible. With
            ``get_not_nans`` a pair with the number of cases that had a score.

        Raises:
            RuntimeError: if no case was seen since the last reset.
        """
        scores = self.get_buffer()
        if not isinstance(scores, torch.Tensor):
            raise FailureError(
                f"Expected `{type(self).__name__}` to be called before it is aggregated, "
                "but got no case."
            )
        reduction = MetricReduction(reduction or self.reduction)
        value, not_nans = do_metric_reduction(scores.clone(), reduction)
        if reduction == MetricReduction.MEAN:
            value = scores.nanmean()  # MONAI's mean is rounded to float32
        value = torch.where(not_nans > 0, value, torch.full_like(value, torch.nan))
        return (value, not_nans) if self.get_not_nans else value


def _is_shared_out() -> bool:
    distributed = torch.distributed
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


def _layout_of_all(buffers: list[Tensor] | None) -> list[tuple[torch.Size, torch.dtype]] | None:
    """Shape of a case and dtype of every buffer, from the first process that has any."""
    own = None if buffers is None else [(buffer.shape[1:], buffer.dtype) for buffer in buffers]
    layouts: list[list[tuple[torch.Size, torch.dtype]] | None]
    layouts = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(layouts, own)
    return next((layout for layout in layouts if layout is not None), None)
