"""Negative log-likelihood in an engine's validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medkd.handlers.masked_metric_handler import MaskedMetricHandler
from medkd.metrics import NegativeLogLikelihoodMetric

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NegativeLogLikelihoodHandler"]


class NegativeLogLikelihoodHandler(MaskedMetricHandler):
    """Negative log-likelihood in nats, reduced over the cases of a validation.

    See :class:`medkd.metrics.NegativeLogLikelihoodMetric`. In a bundle:

    .. code-block:: json

        {
            "_target_": "medkd.handlers.NegativeLogLikelihoodHandler",
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
        >>> from medkd.handlers import NegativeLogLikelihoodHandler
        >>> engine = Engine(lambda engine, batch: batch)
        >>> NegativeLogLikelihoodHandler().attach(engine, "nll")
        >>> batch = (torch.full((1, 2, 2), 0.5), torch.tensor([[[0, 1]]]))
        >>> round(engine.run([batch]).metrics["nll"], 4)
        0.6931
    """

    def __init__(
        self,
        reduction: str = "mean",
        output_transform: Callable[[Any], Any] = lambda output: output,
        save_details: bool = True,
    ) -> None:
        super().__init__(
            metric_fn=NegativeLogLikelihoodMetric(reduction=reduction),
            output_transform=output_transform,
            save_details=save_details,
        )
