"""A bar that says what is being trained, how far it is and how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ignite.engine import Engine, Events

from medkd.handlers.loss_terms import step_losses
from medkd.progress import progress

if TYPE_CHECKING:
    import torch

__all__ = ["ProgressHandler"]


class ProgressHandler:
    """One progress bar over all steps of a training, on standard error.

    It starts where a resumed run starts, and shows the mean loss of the last epoch.

    Args:
        description: what is being done, e.g. ``"member 2 of 5"``.
    """

    def __init__(self, description: str) -> None:
        self.description = description
        self._bar: Any = None
        self._loss: float | torch.Tensor = 0.0

    def attach(self, engine: Engine) -> None:
        """Open with the first step, move with each, close at the end and on a failure."""
        engine.add_event_handler(Events.EPOCH_STARTED, self._open)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._move)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._show_loss)
        engine.add_event_handler(Events.COMPLETED, self._close)
        engine.add_event_handler(Events.EXCEPTION_RAISED, self._fail)

    def _open(self, engine: Engine) -> None:
        self._loss = 0.0
        if self._bar is None:
            steps = engine.state.max_epochs * engine.state.epoch_length
            self._bar = progress(
                total=steps, initial=engine.state.iteration, desc=self.description, unit="step"
            )

    def _move(self, engine: Engine) -> None:
        # The tensor is summed, not read: reading it would wait for the device at every step.
        self._loss = self._loss + step_losses(engine.state.output)["loss"]
        self._bar.update()

    def _show_loss(self, engine: Engine) -> None:
        mean = float(self._loss) / engine.state.epoch_length
        self._bar.set_postfix_str(f"epoch {engine.state.epoch}, loss {mean:.4f}", refresh=False)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _fail(self, error: BaseException) -> None:
        self._close()
        raise error
