from __future__ import annotations

import pytest
import torch
from ignite.engine import Engine, Events
from torch import nn

from medkd.handlers import PeerWeightsHandler, ResumeHandler, resume_handler
from medkd.networks import PeerNetworks, load_weights


@pytest.fixture
def networks():
    torch.manual_seed(0)
    return PeerNetworks([nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 3), nn.Conv3d(1, 3, 1)])


def engine_of(*handlers):
    engine = Engine(lambda *_: None)
    for handler in handlers:
        handler.attach(engine)
    return engine


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_leaves_all_but_the_student(networks, tmp_path):
    handler = PeerWeightsHandler(tmp_path / "peers", networks.networks)
    assert list(tmp_path.iterdir()) == []
    engine_of(handler).run([0], max_epochs=2)
    assert names(tmp_path) == ["peer_2.pt", "peer_3.pt"]
    for number, trained in ((2, networks.networks[1]), (3, networks.networks[2])):
        loaded = type(trained)(1, trained.out_channels, trained.kernel_size)
        load_weights(loaded, tmp_path / "peers" / f"peer_{number}.pt")
        assert torch.equal(loaded.weight, trained.weight)
        assert torch.equal(loaded.bias, trained.bias)


def test_a_student_alone_leaves_nothing(networks, tmp_path):
    engine_of(PeerWeightsHandler(tmp_path, networks.networks[:1])).run([0], max_epochs=1)
    assert names(tmp_path) == []


def test_writes_nothing_when_training_was_stopped(networks, tmp_path):
    engine = engine_of(PeerWeightsHandler(tmp_path, networks.networks))
    engine.state.epoch, engine.state.max_epochs = 1, 2
    engine.fire_event(Events.COMPLETED)  # which some versions of ignite do when they are stopped
    assert names(tmp_path) == []


def test_writes_nothing_in_other_processes(networks, tmp_path, monkeypatch):
    monkeypatch.setattr("ignite.distributed.get_rank", lambda: 1)
    engine_of(PeerWeightsHandler(tmp_path, networks.networks)).run([0], max_epochs=1)
    assert names(tmp_path) == []


class Killed(BaseException):
    """As a kill: nothing is told that it ends."""


def test_before_resume_handler_a_kill_leaves_no_student_without_peers(
    networks, tmp_path, monkeypatch
):
    def engine():
        student = networks.networks[0]
        resume = ResumeHandler(
            tmp_path / "checkpoint.pt", tmp_path / "model.pt", networks, {}, model_network=student
        )
        return engine_of(PeerWeightsHandler(tmp_path, networks.networks), resume)

    def kill(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(resume_handler, "save_weights", kill)
        with pytest.raises(Killed):
            engine().run([0], max_epochs=2)
    assert names(tmp_path) == ["checkpoint.pt", "peer_2.pt", "peer_3.pt"]
    engine().run([0], max_epochs=2)
    assert names(tmp_path) == ["model.pt", "peer_2.pt", "peer_3.pt"]
