"""Expected calibration error in an engine's validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medkd.handlers.masked_metric_handler import MaskedMetricHandler
from medkd.metrics import ExpectedCalibrationErrorMetric

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ExpectedCalibrationErrorHandler"]


class ExpectedCalibrationErrorHandler(MaskedMetricHandler):
    """Top-label calibration error, reduced over the cases of a validation.

    See :class:`medkd.metrics.ExpectedCalibrationErrorMetric`. In a bundle:

    .. code-block:: json

        {
            "_target_": "medkd.handlers.ExpectedCalibrationErrorHandler",
            "output_transform": "$monai.handlers.from_engine(['probs', 'label', 'mask'])"
        }

    Args:
        num_bins: equally wide bins of confidence, 1 or more.
        reduction: over the cases that have a valid voxel, as MONAI names it.
        output_transform: gives ``(probs, label)`` or ``(probs, label, mask)`` from the output.
        save_details: whether to keep the score of each case in ``engine.state.metric_details``.

    Raises:
        ValueError: if ``num_bins`` is below 1 or ``reduction`` is none of MONAI's.

    Example:
        >>> import torch
        >>> from ignite.engine import Engine
        >>> from medkd.handlers import ExpectedCalibrationErrorHandler
        >>> engine = Engine(lambda engine, batch: batch)
        >>> ExpectedCalibrationErrorHandler().attach(engine, "ece")
        >>> batch = (torch.full((1, 2, 2), 0.5), torch.tensor([[[0, 1]]]))
        >>> round(engine.run([batch]).metrics["ece"], 4)
        0.0
    """

    def __init__(
        self,
        num_bins: int = 15,
        reduction: str = "mean",
        output_transform: Callable[[Any], Any] = lambda output: output,
        save_details: bool = True,
    ) -> None:
        super().__init__(
            metric_fn=ExpectedCalibrationErrorMetric(num_bins=num_bins, reduction=reduction),
            output_transform=output_transform,
            save_details=save_details,
        )
