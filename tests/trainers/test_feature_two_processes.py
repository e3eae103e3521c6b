"""Two processes that distill features are one process that has the batches of both."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
import torch.distributed
import torch.multiprocessing
from monai.networks.nets import BasicUNet
from torch import nn

from medkd.networks import FeatureStudent
from medkd.runs import ProcessGroup
from medkd.teachers import FeatureTeacher
from medkd.trainers import FeatureDistillationTrainer

FEATURES = {"encoder": "down_1", "bottleneck": "down_4"}
CHANNELS = {"encoder": 4, "bottleneck": 8}
SIZE = (32, 16)


class _Squares(nn.Module):
    def forward(self, logits, label):
        return (logits - label).square().mean()


class _Distance(nn.Module):
    """A mean over positions, so that the mean over processes is that over all."""

    def __init__(self, channels):
        super().__init__()
        self.projection = nn.Linear(channels, channels)

    def forward(self, student, teachers, _label):
        found = self.projection(student.movedim(1, -1))
        return sum((found - one.movedim(1, -1)).square().mean() for one in teachers)


def batch_of(*ranks):
    """The batch of one process, or that of two together."""
    generators = [torch.Generator().manual_seed(rank) for rank in ranks]
    return {
        name: torch.cat([torch.randn(2, 1, *SIZE, generator=g) for g in generators])
        for name in ("image", "label")
    }


def network_of(seed):
    torch.manual_seed(seed)
    return BasicUNet(2, 1, 2, (4, 4, 6, 6, 8, 4))


def student_of():
    network = network_of(3)
    return FeatureStudent(network, FEATURES, {n: _Distance(c) for n, c in CHANNELS.items()})


def trainer_of(network, batch):
    return FeatureDistillationTrainer(
        device="cpu",
        max_epochs=2,
        train_data_loader=[batch, batch],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        label_loss=_Squares(),
        distillation_weight=0.0,
        feature_teacher=FeatureTeacher([network_of(1), network_of(2)], FEATURES),
        own_weights={"encoder": 0.5, "bottleneck": 2.0},
        max_grad_norm=1.0,
    )


def run_process(rank, folder):
    """The life of one of the processes."""
    torch.set_num_threads(1)
    os.environ["LOCAL_RANK"] = str(rank)
    student = student_of()
    group = ProcessGroup(rank, 2, torch.distributed.FileStore(str(folder / "store"), 2))
    group.train(lambda: trainer_of(student, batch_of(rank)))
    torch.save(student.state_dict(), folder / f"{rank}.pt")


def test_is_that_of_one_process_with_the_batches_of_both(both):
    student = student_of()
    before = {key: value.clone() for key, value in student.state_dict().items()}
    trainer_of(student, batch_of(0, 1)).run()
    expected = dict(student.state_dict())
    moved = {key for key, value in expected.items() if not torch.equal(before[key], value)}
    assert {f"losses.{name}.projection.weight" for name in FEATURES} <= moved
    assert "taps.network.down_4.convs.conv_1.conv.weight" in moved
    for rank in range(2):
        found = torch.load(both / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(dict(found), expected)


if __name__ == "__main__":
    # Forked from a process that has imported MONAI and done nothing yet: importing it twice is what
    # would take the time.
    torch.multiprocessing.start_processes(
        run_process, args=(Path(sys.argv[1]),), nprocs=2, start_method="fork"
    )
