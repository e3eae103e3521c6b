from __future__ import annotations

import csv

import pytest
import torch
from ignite.engine import Events
from torch import nn

from medkd.handlers import EpochSeedHandler, ResumeHandler, resume_handler
from medkd.losses import ConsistencyLoss, MutualDiceLoss
from medkd.networks import MeanTeacher, PeerNetworks, load_state, load_weights, save_state
from medkd.trainers import MutualDistillationTrainer

EPOCHS, STEPS = 4, 3


class Killed(BaseException):
    """As a kill: nothing is told that it ends."""


def kill_at(trainer, event, count):
    @trainer.on(event(once=count))
    def _kill():
        raise Killed


def read_history(run):
    """The rows without the seconds, which no two runs have in common."""
    with (run.folder / "history.csv").open(newline="") as file:
        return [
            {name: value for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]


def assert_same_result(run, straight):
    first, second = (torch.load(r.folder / "model.pt", weights_only=True) for r in (run, straight))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert read_history(run) == read_history(straight)
    assert not (run.folder / "checkpoint.pt").exists()


@pytest.fixture
def straight(training):
    run = training("straight")
    run.trainer.run()
    return run


class TestResume:
    def test_the_training_depends_on_all_that_must_be_restored(self, straight, training):
        # If another seed gave the same weights, bit-identity would prove nothing.
        other = training("other")
        other.trainer.add_event_handler(Events.EPOCH_STARTED, lambda: torch.manual_seed(0))
        other.trainer.run()
        weights = [load_state(run.folder / "model.pt")["0.weight"] for run in (straight, other)]
        assert not torch.equal(*weights)

    @pytest.mark.parametrize(
        ("event", "count"),
        [
            (Events.ITERATION_COMPLETED, 2),  # before there is a checkpoint
            (Events.EPOCH_STARTED, 3),  # between two epochs
            (Events.ITERATION_COMPLETED, 2 * STEPS + 2),  # within an epoch
            (Events.ITERATION_COMPLETED, EPOCHS * STEPS),  # the last step done, not yet saved
        ],
        ids=["first-epoch", "between-epochs", "within-epoch", "last-step"],
    )
    def test_a_killed_training_ends_with_the_same_bits(self, straight, training, event, count):
        killed = training("killed")
        kill_at(killed.trainer, event, count)
        with pytest.raises(Killed):
            killed.trainer.run()
        assert not (killed.folder / "model.pt").exists()
        torch.rand(7)  # another process is somewhere else in its random numbers
        resumed = training("killed")
        resumed.trainer.run()
        assert_same_result(resumed, straight)

    def test_a_training_killed_in_every_epoch(self, straight, training):
        for epoch in range(1, EPOCHS + 1):
            killed = training("killed")
            kill_at(killed.trainer, Events.ITERATION_STARTED, (epoch - 1) * STEPS + 2)
            with pytest.raises(Killed):
                killed.trainer.run()
        resumed = training("killed")
        resumed.trainer.run()
        assert_same_result(resumed, straight)

    def test_killed_between_history_and_checkpoint(self, straight, training, monkeypatch):
        killed = training("killed")

        def kill(*_):
            raise Killed

        killed.trainer.add_event_handler(
            Events.EPOCH_STARTED(once=2),
            lambda: monkeypatch.setattr(resume_handler, "save_state", kill),
        )
        with pytest.raises(Killed):
            killed.trainer.run()
        monkeypatch.undo()
        assert [row["epoch"] for row in read_history(killed)] == ["1.0", "2.0"]
        assert load_state(killed.folder / "checkpoint.pt")["epoch"] == 1
        resumed = training("killed")
        resumed.trainer.run()
        assert_same_result(resumed, straight)

    def test_killed_after_the_last_checkpoint_but_before_the_weights(
        self, straight, training, monkeypatch
    ):
        killed = training("killed")

        def kill(*_):
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(resume_handler, "save_weights", kill)
            with pytest.raises(Killed):
                killed.trainer.run()
        assert load_state(killed.folder / "checkpoint.pt")["epoch"] == EPOCHS
        resumed = training("killed")
        steps = []
        resumed.trainer.add_event_handler(Events.ITERATION_STARTED, lambda: steps.append(1))
        resumed.trainer.run()
        assert steps == []
        assert_same_result(resumed, straight)

    def test_a_kill_while_a_checkpoint_is_written_keeps_the_one_before(
        self, straight, training, monkeypatch
    ):
        killed = training("killed")

        def kill(_):
            raise Killed

        killed.trainer.add_event_handler(
            Events.EPOCH_STARTED(once=3), lambda: monkeypatch.setattr("os.fsync", kill)
        )
        with pytest.raises(Killed):
            killed.trainer.run()
        monkeypatch.undo()
        assert load_state(killed.folder / "checkpoint.pt")["epoch"] == 2
        resumed = training("killed")
        resumed.trainer.run()
        assert_same_result(resumed, straight)


class TestFiles:
    def test_leaves_the_weights_and_nothing_else(self, straight, training):
        assert sorted(path.name for path in straight.folder.iterdir()) == [
            "history.csv",
            "model.pt",
        ]
        fresh = training("fresh").network
        load_weights(fresh, straight.folder / "model.pt")
        state = straight.network.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in fresh.state_dict().items())

    def test_a_checkpoint_holds_what_its_docstring_says(self, training):
        run = training("run")
        kill_at(run.trainer, Events.EPOCH_STARTED, 3)
        with pytest.raises(Killed):
            run.trainer.run()
        state = load_state(run.folder / "checkpoint.pt")
        assert state.keys() == {"network", "optimizer", "lr_scheduler", "epoch", "iteration"}
        assert (state["epoch"], state["iteration"]) == (2, 2 * STEPS)


class _Squares(nn.Module):
    def forward(self, logits, label):
        return (logits - label).square().mean()


class TestNetworksTogether:
    """Several networks in one training, of which one is left in ``model.pt``."""

    def run(self, folder, name, *, kill=None):
        torch.manual_seed(11)
        plain = [
            nn.Sequential(nn.Conv2d(1, 3, 1), nn.BatchNorm2d(3), nn.Dropout(0.5)) for _ in range(2)
        ]
        network = PeerNetworks(plain) if name == "peers" else MeanTeacher(plain[0])
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        files = folder / "checkpoint.pt", folder / "model.pt"
        objects = {"optimizer": optimizer}
        data = torch.randn(STEPS, 3, 2, 1, 6, 5, generator=torch.Generator().manual_seed(1))
        keys = ("image", "label", "unlabeled_image")
        trainer = MutualDistillationTrainer(
            device="cpu",
            max_epochs=EPOCHS,
            train_data_loader=[dict(zip(keys, step, strict=True)) for step in data],
            network=network,
            optimizer=optimizer,
            label_loss=_Squares(),
            mutual_loss=MutualDiceLoss(2.0) if name == "peers" else ConsistencyLoss(),
            mutual_weight=4.0,
            ramp_up_epochs=3,
            train_handlers=[
                EpochSeedHandler(5, []),
                ResumeHandler(*files, network, objects, model_network=network.networks[0]),
            ],
        )
        if kill is not None:
            kill_at(trainer, Events.ITERATION_COMPLETED, kill)
        trainer.run()
        return network

    @pytest.mark.parametrize("name", ["peers", "teacher"])
    def test_killed_they_end_with_the_same_bits(self, tmp_path, name):
        straight = self.run(tmp_path / "straight", name).state_dict()
        with pytest.raises(Killed):
            self.run(tmp_path / "killed", name, kill=2 * STEPS + 2)
        resumed = self.run(tmp_path / "killed", name).state_dict()
        assert straight.keys() == resumed.keys()
        assert all(torch.equal(value, resumed[key]) for key, value in straight.items())

    def test_model_file_holds_the_student_alone(self, tmp_path):
        network = self.run(tmp_path, "peers")
        state = load_state(tmp_path / "model.pt")
        student = network.networks[0].state_dict()
        assert state.keys() == student.keys()
        assert all(torch.equal(value, student[name]) for name, value in state.items())


class TestRejects:
    @pytest.fixture
    def killed(self, training):
        run = training("run")
        kill_at(run.trainer, Events.EPOCH_STARTED, 2)
        with pytest.raises(Killed):
            run.trainer.run()
        return run

    def test_rejects_a_checkpoint_of_another_architecture(self, killed, training):
        other = training("run", width=5)
        before = {name: value.clone() for name, value in other.network.state_dict().items()}
        match = r"checkpoint\.pt to hold weights of this Sequential, but 0\.weight has shape"
        with pytest.raises(ValueError, match=match):
            other.trainer.run()
        state = other.network.state_dict()
        assert all(torch.equal(value, state[name]) for name, value in before.items())
        assert (killed.folder / "checkpoint.pt").exists()

    def test_rejects_a_truncated_checkpoint(self, killed, training):
        path = killed.folder / "checkpoint.pt"
        path.write_bytes(path.read_bytes()[:-100])
        with pytest.raises(ValueError, match=r"Expected .*checkpoint\.pt to hold weights only"):
            training("run").trainer.run()

    @pytest.mark.parametrize("state", [{"network": {}}, [1]], ids=["names", "type"])
    def test_rejects_a_checkpoint_of_something_else(self, killed, training, state):
        save_state(state, killed.folder / "checkpoint.pt")
        match = r"to be a checkpoint of epoch, iteration, lr_scheduler, network, optimizer, but got"
        with pytest.raises(ValueError, match=match):
            training("run").trainer.run()


def test_is_made_without_touching_a_file(tmp_path):
    ResumeHandler(
        tmp_path / "a" / "checkpoint.pt", tmp_path / "b" / "model.pt", torch.nn.Identity(), {}
    )
    assert list(tmp_path.iterdir()) == []
