from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events

from medkd.handlers import ProgressHandler


def engine_of(step=lambda _, value: {"loss": torch.tensor(value, requires_grad=True)}):
    engine = Engine(step)
    ProgressHandler("member 2 of 5").attach(engine)
    return engine


def test_says_what_is_done_and_how_far_it_is(capsys):
    engine_of().run([1.0, 3.0], max_epochs=3)
    out, err = capsys.readouterr()
    assert out == ""
    last = err.split("\r")[-1]
    assert last.startswith("member 2 of 5: 100%")
    assert "6/6" in last
    assert "epoch 3, loss 2.0000" in last
    assert err.endswith("\n")


def test_starts_where_a_resumed_run_starts(capsys):
    engine = engine_of()

    @engine.on(Events.STARTED)
    def resume():
        engine.state.epoch, engine.state.iteration = 2, 4

    engine.run([1.0, 3.0], max_epochs=3)
    first, *_, last = capsys.readouterr().err.split("\r")[1:]
    assert "4/6" in first
    assert "6/6" in last


def test_says_nothing_where_there_is_nothing_to_do(capsys):
    engine = engine_of()
    engine.add_event_handler(Events.STARTED, lambda: setattr(engine.state, "epoch", 3))
    engine.run([1.0], max_epochs=3)
    assert capsys.readouterr().err == ""


def test_a_failure_closes_the_bar_and_passes(capsys):
    def fail(_, value):
        if value > 1:
            raise RuntimeError("no more memory")
        return {"loss": torch.tensor(value)}

    engine = engine_of(fail)
    with pytest.raises(RuntimeError, match="no more memory"):
        engine.run([1.0, 2.0], max_epochs=1)
    assert "1/2" in capsys.readouterr().err.split("\r")[-1]
