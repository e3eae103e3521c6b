"""Brier score in an engine's validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medkd.handlers.masked_metric_handler import MaskedMetricHandler
from medkd.metrics import BrierScoreMetric

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BrierScoreHandler"]


class BrierScoreHandler(MaskedMetricHandler):
    """Brier score, summed over classes and reduced over the cases of a validation.

    See :class:`medkd.metrics.BrierScoreMetric`. In a bundle:

    .. code-block:: json

        {
            "_target_": "medkd.handlers.BrierScoreHandler",
            "output_transform": "$monai.handlers.from_engine(['probs', 'label', 'mask'])"
        }

    Args:
        reduction: over the cases that have a valid voxel, as MONAI names it.
        output_transform: gives ``(probs, label)`` or ``(probs, label, mask)`` from the output.
        save_details: whether to keep the score of each case in ``engine.state.metric_details``.

    Raises:
        ValueError: if ``reduction`` is none of MONAI's.

    Example:
        >>> import torch
        >>> from ignite.engine import Engine
        >>> from medkd.handlers import BrierScoreHandler
        >>> engine = Engine(lambda engine, batch: batch)
        >>> BrierScoreHandler().attach(engine, "brier")
        >>> batch = (torch.full((1, 2, 2), 0.5), torch.tensor([[[0, 1]]]))
        >>> round(engine.run([batch]).metrics["brier"], 4)
        0.5
    """

    def __init__(
        self,
        reduction: str = "mean",
        output_transform: Callable[[Any], Any] = lambda output: output,
        save_details: bool = True,
    ) -> None:
        super().__init__(
            metric_fn=BrierScoreMetric(reduction=reduction),
            output_transform=output_transform,
            save_details=save_details,
        )
