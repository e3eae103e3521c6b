"""What each epoch cost and reached: every loss term and every validation metric, by name."""

from __future__ import annotations

import csv
import logging
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import ignite.distributed as idist
from ignite.engine import Engine, Events

from medkd.errors import FailureError
from medkd.files import atomic_write
from medkd.handlers.loss_terms import step_losses

if TYPE_CHECKING:
    import torch

__all__ = ["HistoryHandler", "read_history"]

_log = logging.getLogger(__name__)


class HistoryHandler:
    """Keeps one row an epoch and writes them as CSV.

    A row holds ``epoch``, ``loss``, each loss term's mean over the epoch's steps under its name,
    the learning rate, the ``seconds`` since the last row (the first row's begin with the training
    loop), and the metrics of a validation that ran in that epoch. A resumed run takes
    the rows before its first epoch from the file, so its curves have no gap and no double; the file
    must therefore be written before the checkpoint of the same epoch: attach this handler before
    :class:`~medkd.handlers.resume_handler.ResumeHandler`. Where several processes train one
    network, losses are means over all of them, and the first one writes.

    Args:
        file: the CSV file, written anew after every epoch.
        evaluator: the validation engine, whose metrics are taken; ``None`` for none. Attach this
            handler after the one that runs the validation.
        optimizer: whose learning rate is noted.
    """

    def __init__(
        self, file: str | Path, evaluator: Engine | None, optimizer: torch.optim.Optimizer
    ) -> None:
        self.file = Path(file)
        self.evaluator = evaluator
        self.optimizer = optimizer
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, torch.Tensor] = {}
        self._steps = 0
        self._validated = False
        self._row_started = 0.0

    def attach(self, engine: Engine) -> None:
        """Take earlier rows on start, collect each step, close a row at each epoch's end."""
        engine.add_event_handler(Events.STARTED, self._start_clock)
        engine.add_event_handler(Events.EPOCH_STARTED, self._take_earlier_rows)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self._collect)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self._close_row)
        if self.evaluator is not None:
            self.evaluator.add_event_handler(Events.COMPLETED, self._mark_validated)

    def _start_clock(self) -> None:
        self._row_started = time.monotonic()

    def _take_earlier_rows(self, engine: Engine) -> None:
        # Only now is it known where a resumed run goes on: ResumeHandler loads on STARTED.
        if not self.rows and self.file.is_file():
            self.rows = [
                row for row in read_history(self.file) if row["epoch"] < engine.state.epoch
            ]

    def _collect(self, engine: Engine) -> None:
        for name, value in step_losses(engine.state.output).items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._steps += 1

    def _mark_validated(self) -> None:
        self._validated = True

    def _close_row(self, engine: Engine) -> None:
        row = {"epoch": float(engine.state.epoch)}
        steps = self._steps * idist.get_world_size()
        row.update((name, float(idist.all_reduce(v)) / steps) for name, v in self._sums.items())
        row["learning_rate"] = float(self.optimizer.param_groups[0]["lr"])
        now = time.monotonic()
        row["seconds"], self._row_started = now - self._row_started, now
        if self._validated and self.evaluator is not None:
            row.update((name, float(v)) for name, v in self.evaluator.state.metrics.items())
        self._check_finite(row)
        self.rows.append(row)
        self._sums, self._steps, self._validated = {}, 0, False
        if idist.get_rank() > 0:
            return
        _log.info(
            "epoch %d of %d: %s",
            engine.state.epoch,
            engine.state.max_epochs,
            ", ".join(f"{name} {value:.4g}" for name, value in row.items() if name != "epoch"),
        )
        self._write()

    def _check_finite(self, row: dict[str, float]) -> None:
        # Here and not at every step, for reading a loss waits for the device.
        if not math.isfinite(row["loss"]):
            raise FailureError(
                f"Expected the loss to stay finite, but it is {row['loss']} in epoch "
                f"{row['epoch']:.0f} of {self.file.parent}. A lower learning rate may help; the "
                "checkpoint of the epoch before is kept."
            )

    def _write(self) -> None:
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        with atomic_write(self.file, "w") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def read_history(file: str | Path) -> list[dict[str, float]]:
    """The rows that :class:`HistoryHandler` wrote.

    Args:
        file: the CSV file.

    Returns:
        A row an epoch: names to values, without those that were not measured in that epoch.
    """
    with Path(file).open(encoding="utf-8", newline="") as stream:
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(stream)
        ]
