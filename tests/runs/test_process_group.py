"""Processes that share out what each can do alone, and train one network together."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from ignite.engine import Events
from monai.engines import SupervisedEvaluator
from monai.handlers import MeanDice, ValidationHandler, from_engine
from torch import nn

from medkd.handlers import EpochSeedHandler, HistoryHandler, ResumeHandler, read_history
from medkd.networks import load_state
from medkd.runs import ProcessGroup, process_device, process_group, start_process_group
from medkd.runs.process_group import process_count, process_rank
from medkd.trainers import DistillationTrainer

STEPS, EPOCHS, RATE = 2, 2, 0.1
SIZE = (5, 4)


class _Squares(nn.Module):
    def forward(self, logits, label):
        return (logits - label).square().mean()


class Steps(torch.utils.data.Dataset):
    """Batch ``step`` of process ``rank``, or that of two processes together."""

    def __init__(self, *ranks):
        self.ranks = ranks

    def __len__(self):
        return STEPS

    def __getitem__(self, step):
        parts = []
        for rank in self.ranks:
            generator = torch.Generator().manual_seed(10 * rank + step)
            parts.append(torch.randn(2, 3, *SIZE, generator=generator))
        batch = torch.cat(parts)
        return {"image": batch[:, :2], "label": batch[:, 2:]}


def validation_cases():
    generator = torch.Generator().manual_seed(99)
    return [
        {
            "image": torch.randn(1, 2, *SIZE, generator=generator),
            "label": torch.randint(0, 2, (1, 1, *SIZE), generator=generator),
        }
        for _ in range(3)
    ]


def trainer_of(folder, steps, cases, *, norm):
    torch.manual_seed(3)
    network = nn.Sequential(nn.Conv2d(2, 1, 1), nn.BatchNorm2d(1)) if norm else nn.Conv2d(2, 1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE)
    evaluator = SupervisedEvaluator(
        device="cpu",
        val_data_loader=cases,
        network=network,
        postprocessing=lambda data: {**data, "pred": data["pred"] > 0},
        key_val_metric={
            "val_dice": MeanDice(output_transform=from_engine(["pred", "label"])),
        },
    )
    return DistillationTrainer(
        device="cpu",
        max_epochs=EPOCHS,
        train_data_loader=torch.utils.data.DataLoader(steps, batch_size=None),
        network=network,
        optimizer=optimizer,
        label_loss=_Squares(),
        distillation_weight=0.0,
        train_handlers=[
            EpochSeedHandler(5, steps),
            ValidationHandler(interval=1, validator=evaluator, epoch_level=True),
            HistoryHandler(folder / "history.csv", evaluator, optimizer),
            ResumeHandler(folder / "checkpoint.pt", folder / "model.pt", network, {}),
        ],
    )


def train_together(group, folder, *, norm):
    """Train, and say what this process is left with."""
    seeds, own_network = [], []

    def build():
        cases = group.share(validation_cases())
        trainer = trainer_of(folder, Steps(group.rank), cases, norm=norm)
        trainer.add_event_handler(Events.EPOCH_STARTED, lambda: seeds.append(torch.initial_seed()))
        own_network.append(trainer.network)
        return trainer

    group.train(build)
    state = own_network[0].state_dict()
    return {"seeds": seeds, "state": state, "is_initialized": torch.distributed.is_initialized()}


def run_process(rank, folder):
    """The life of one of the processes."""
    torch.set_num_threads(1)
    os.environ["LOCAL_RANK"] = str(rank)
    process_group._SECONDS_TO_BE_ENDED = 0

    def group_of(name):
        return ProcessGroup(rank, 2, torch.distributed.FileStore(str(folder / name), 2))

    for name, norm in (("plain", False), ("norm", True)):
        (folder / name).mkdir(exist_ok=True)
        results = train_together(group_of(f"{name}.store"), folder / name, norm=norm)
        torch.save(results, folder / f"{name}_{rank}.pt")

    def fail():
        raise ValueError("Expected something else.")

    try:
        group_of("failing.store").train(fail)
    except (ValueError, SystemExit) as end:
        (folder / f"end_{rank}.txt").write_text(repr(end))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The folder that two processes leave."""
    folder = tmp_path_factory.mktemp("two_processes")
    subprocess.run([sys.executable, __file__, str(folder)], check=True, timeout=120)
    return folder


def results_of(both, name):
    return [torch.load(both / f"{name}_{rank}.pt", weights_only=True) for rank in range(2)]


class TestTraining:
    def test_is_that_of_one_process_with_the_batches_of_both(self, both, tmp_path):
        trainer = trainer_of(tmp_path, Steps(0, 1), validation_cases(), norm=False)
        trainer.run()
        for results in results_of(both, "plain"):
            torch.testing.assert_close(dict(results["state"]), dict(trainer.network.state_dict()))
        together, alone = (read_history(d / "history.csv") for d in (both / "plain", tmp_path))
        assert len(together) == len(alone) == EPOCHS
        for name in ("loss", "label", "val_dice"):
            expected = [row[name] for row in alone]
            assert [row[name] for row in together] == pytest.approx(expected, rel=1e-5)

    def test_leaves_one_network_which_is_no_longer_wrapped(self, both):
        first, second = results_of(both, "norm")
        written = load_state(both / "norm" / "model.pt")
        assert list(written) == list(
            nn.Sequential(nn.Conv2d(2, 1, 1), nn.BatchNorm2d(1)).state_dict()
        )
        for name, value in written.items():
            assert torch.equal(first["state"][name], value), name
            assert torch.equal(second["state"][name], value), name
        files = sorted(path.name for path in (both / "norm").iterdir())
        assert files == ["history.csv", "model.pt"]

    def test_draws_other_numbers_in_each_process(self, both):
        first, second = results_of(both, "plain")
        assert len({*first["seeds"], *second["seeds"]}) == 2 * EPOCHS
        assert first["seeds"] == [5 * 1_000_003 + epoch for epoch in (1, 2)]  # as one process does

    def test_leaves_no_group_behind(self, both):
        assert not any(results["is_initialized"] for results in results_of(both, "plain"))

    def test_has_an_error_of_all_raised_by_one(self, both):
        ends = sorted((both / f"end_{rank}.txt").read_text() for rank in range(2))
        assert ends == ["SystemExit(1)", "ValueError('Expected something else.')"]


@pytest.fixture
def groups():
    store = torch.distributed.HashStore()
    return [ProcessGroup(rank, 3, store) for rank in range(3)]


class TestSharing:
    def test_a_task_is_claimed_once(self, groups):
        assert [group.claim("member 0") for group in groups] == [True, False, False]
        assert [group.claim("member 1") for group in reversed(groups)] == [True, False, False]

    def test_every_case_has_one_process(self, groups):
        shares = [group.share([*"abcdefg"]) for group in groups]
        assert shares == [["a", "d", "g"], ["b", "e"], ["c", "f"]]

    def test_no_process_is_without_a_case(self, groups):
        assert [group.share(["a", "b"]) for group in groups] == 3 * [["a", "b"]]

    def test_all_wait_for_the_last(self, groups):
        arrived, gone = [], []

        def come(group):
            for _ in range(2):  # a meeting does not end the next one
                group.wait_for_all()
                gone.append(len(arrived))

        threads = [threading.Thread(target=come, args=(group,)) for group in groups[:2]]
        for thread in threads:
            thread.start()
        for _ in range(2):
            arrived.append(groups[2].rank)
            groups[2].wait_for_all()
        for thread in threads:
            thread.join(timeout=10)
        assert len(gone) == 4
        assert min(gone) >= 1
        assert gone.count(2) >= 2

    def test_one_process_waits_for_none_and_does_all(self):
        group = ProcessGroup()
        group.wait_for_all()
        assert group.claim("member 0")
        assert group.claim("member 0")
        assert group.share([1, 2]) == [1, 2]


class TestStart:
    def test_without_torchrun_there_is_one_process(self, monkeypatch):
        monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
        monkeypatch.setenv("RANK", "3")  # a scheduler's
        monkeypatch.setenv("WORLD_SIZE", "8")
        group = start_process_group("cpu")
        assert (group.rank, group.size, group.is_main) == (0, 1, True)

    @pytest.fixture
    def of_torchrun(self, monkeypatch):
        names = {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        return monkeypatch

    def test_each_process_has_the_gpu_of_its_number_on_its_machine(self, of_torchrun):
        of_torchrun.setattr(torch.cuda, "is_available", lambda: True)
        assert (process_rank(), process_count()) == (5, 8)
        assert process_device() == torch.device("cuda", 1)
        of_torchrun.setattr(torch.cuda, "is_available", lambda: False)
        assert process_device() == torch.device("cpu")

    @pytest.mark.parametrize("device", ["cuda", "cuda:0"])
    def test_rejects_a_gpu_for_all(self, of_torchrun, device):
        of_torchrun.setattr(torch.cuda, "is_available", lambda: True)
        match = f"Expected `device` to be cuda:1 in process 5 of 8, but got {device}"
        with pytest.raises(ValueError, match=match):
            start_process_group(device)


if __name__ == "__main__":
    # Forked from a process that has imported MONAI and done nothing yet: importing it twice is what
    # would take the time.
    torch.multiprocessing.start_processes(
        run_process, args=(Path(sys.argv[1]),), nprocs=2, start_method="fork"
    )
