from __future__ import annotations

import csv
import time

import pytest
import torch
from ignite.engine import Engine, Events
from monai.handlers import TensorBoardStatsHandler

from medkd.handlers import HistoryHandler, loss_terms, read_history
from medkd.handlers.loss_terms import step_losses


def read(file):
    """The rows without the seconds, which no two runs have in common."""
    with file.open(newline="") as stream:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(stream)
        ]


@pytest.fixture
def optimizer():
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)


def step(_, value):
    terms = {"label": torch.tensor(value), "distillation": torch.tensor(2 * value)}
    return {"loss": torch.tensor(3 * value, requires_grad=True), "loss_terms": terms}


class TestHistory:
    def test_a_row_is_the_mean_over_the_steps_of_its_epoch(self, tmp_path, optimizer):
        engine = Engine(step)
        HistoryHandler(tmp_path / "history.csv", None, optimizer).attach(engine)
        engine.add_event_handler(
            Events.EPOCH_STARTED(once=2), lambda: optimizer.param_groups[0].update(lr=0.25)
        )
        engine.run([1.0, 2.0, 6.0], max_epochs=2)
        row = {"loss": "9.0", "label": "3.0", "distillation": "6.0"}
        assert read(tmp_path / "history.csv") == [
            {"epoch": "1.0", **row, "learning_rate": "0.5"},
            {"epoch": "2.0", **row, "learning_rate": "0.25"},
        ]

    def test_metrics_stand_in_the_rows_that_have_them(self, tmp_path, optimizer):
        engine, evaluator = Engine(step), Engine(lambda *_: None)

        @engine.on(Events.EPOCH_COMPLETED(every=2))
        def validate():
            evaluator.run([0])
            evaluator.state.metrics["val_dice"] = engine.state.epoch / 10

        HistoryHandler(tmp_path / "history.csv", evaluator, optimizer).attach(engine)
        engine.run([1.0], max_epochs=4)
        found = [row["val_dice"] for row in read(tmp_path / "history.csv")]
        assert found == ["", "0.2", "", "0.4"]

    def test_is_written_after_every_epoch(self, tmp_path, optimizer):
        engine = Engine(step)
        HistoryHandler(tmp_path / "history.csv", None, optimizer).attach(engine)
        lengths = []
        engine.add_event_handler(
            Events.EPOCH_COMPLETED, lambda: lengths.append(len(read(tmp_path / "history.csv")))
        )
        engine.run([1.0], max_epochs=3)
        assert lengths == [1, 2, 3]

    def test_a_resumed_run_has_no_gap_and_no_double(self, tmp_path, optimizer):
        def run(file, data, first, last):
            engine = Engine(step)
            HistoryHandler(file, None, optimizer).attach(engine)
            engine.add_event_handler(
                Events.STARTED, lambda: setattr(engine.state, "epoch", first - 1)
            )
            engine.run(data, max_epochs=last)

        run(tmp_path / "straight.csv", [0.1, 0.7], 1, 5)
        run(tmp_path / "resumed.csv", [0.1, 0.7], 1, 3)
        # The row of epoch 3 was written, its checkpoint was not: it is trained again.
        run(tmp_path / "resumed.csv", [0.1, 0.7], 3, 5)
        assert read(tmp_path / "resumed.csv") == read(tmp_path / "straight.csv")

    def test_a_run_from_the_start_drops_the_rows_of_another(self, tmp_path, optimizer):
        for value in (1.0, 2.0):
            engine = Engine(step)
            HistoryHandler(tmp_path / "history.csv", None, optimizer).attach(engine)
            engine.run([value], max_epochs=2)
        assert [row["loss"] for row in read(tmp_path / "history.csv")] == ["6.0", "6.0"]

    def test_seconds_are_those_between_the_rows(self, tmp_path, optimizer):
        engine = Engine(lambda *_: (time.sleep(0.02), {"loss": torch.tensor(1.0)})[1])
        HistoryHandler(tmp_path / "history.csv", None, optimizer).attach(engine)
        start = time.monotonic()
        engine.run([1.0, 2.0], max_epochs=3)
        elapsed = time.monotonic() - start
        seconds = [row["seconds"] for row in read_history(tmp_path / "history.csv")]
        assert all(value >= 0.04 for value in seconds)
        assert sum(seconds) <= elapsed

    def test_a_plain_monai_output_has_a_loss_alone(self, tmp_path, optimizer):
        engine = Engine(lambda _, value: {"loss": torch.tensor(value)})
        HistoryHandler(tmp_path / "history.csv", None, optimizer).attach(engine)
        engine.run([1.0, 3.0])
        assert read(tmp_path / "history.csv") == [
            {"epoch": "1.0", "loss": "2.0", "learning_rate": "0.5"}
        ]


class TestLossTerms:
    def test_are_numbers_by_name(self):
        assert loss_terms(step(None, 1.0)) == {"loss": 3.0, "label": 1.0, "distillation": 2.0}

    def test_of_a_decollated_output_are_those_of_the_batch(self):
        assert loss_terms([step(None, 1.0)] * 2) == loss_terms(step(None, 1.0))

    def test_of_another_trainer_are_the_loss(self):
        assert loss_terms({"loss": torch.tensor(2.0)}) == {"loss": 2.0}

    def test_as_tensors_carry_no_gradient(self):
        assert not any(value.requires_grad for value in step_losses(step(None, 1.0)).values())

    def test_are_what_monais_handlers_log(self):
        class Writer:
            def __init__(self):
                self.scalars = []

            def add_scalar(self, name, value, _):
                self.scalars.append((name, value))

            def flush(self):
                pass

        writer, engine = Writer(), Engine(step)
        TensorBoardStatsHandler(
            summary_writer=writer, output_transform=loss_terms, tag_name="loss"
        ).attach(engine)
        engine.run([1.0])
        assert dict(writer.scalars) == {"loss": 3.0, "label": 1.0, "distillation": 2.0}
