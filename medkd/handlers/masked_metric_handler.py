"""What the handlers of metrics with a mask have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ignite.metrics.metric import reinit__is_reduced
from monai.handlers import IgniteMetricHandler

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ignite.engine import Engine
    from torch import Tensor

__all__ = ["MaskedMetricHandler"]


class MaskedMetricHandler(IgniteMetricHandler):
    """MONAI's metric handler, for a metric that may also take a mask.

    ``output_transform`` turns the engine's output into ``(probs, label)`` or
    ``(probs, label, mask)``, each a batch or a list of channel-first cases, as
    ``monai.handlers.from_engine(["probs", "label", "mask"])`` does. The engine's
    ``state.metrics`` then holds the reduced score and ``state.metric_details`` that of each case,
    ``(cases, 1)``.
    """

    def iteration_completed(self, engine: Engine) -> None:
        """Take the engine's output whole: ignite would take lists apart and accepts pairs only."""
        self.update(self._output_transform(engine.state.output))

    @reinit__is_reduced  # type: ignore[untyped-decorator]
    def update(self, output: Sequence[Tensor | Sequence[Tensor]]) -> None:
        """Add one batch.

        Args:
            output: ``(probs, label)`` or ``(probs, label, mask)``.

        Raises:
            ValueError: if it has another length.
        """
        if len(output) not in {2, 3}:
            raise InvalidValueError(
                "Expected `output_transform` to give (probs, label) or (probs, label, mask), "
                f"but got {len(output)} parts."
            )
        self.metric_fn(*output)
