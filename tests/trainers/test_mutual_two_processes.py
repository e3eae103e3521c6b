"""Two processes that train networks together are one process that has the batches of both."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch import nn

from medkd.losses import MutualKLLoss
from medkd.networks import MeanTeacher, PeerNetworks
from medkd.runs import ProcessGroup
from medkd.trainers import MutualDistillationTrainer

CLASSES = 3
SIZE = (5, 4)


class _Squares(nn.Module):
    def forward(self, logits, label):
        return (logits - label).square().mean()


def batch_of(*ranks):
    """The batch of one process, or that of two together."""
    generators = [torch.Generator().manual_seed(rank) for rank in ranks]

    def joined(channels):
        return torch.cat([torch.randn(2, channels, *SIZE, generator=g) for g in generators])

    return {"image": joined(2), "unlabeled_image": joined(2), "label": joined(1)}


def network_of(name):
    torch.manual_seed(3)
    if name == "teacher":
        return MeanTeacher(nn.Conv2d(2, CLASSES, 1), noise=0.0)
    return PeerNetworks([nn.Conv2d(2, CLASSES, 1), nn.Conv2d(2, CLASSES, 3, padding=1)])


def trainer_of(network, batch):
    # A loss that is a mean over voxels, so that the mean over processes is that over all.
    return MutualDistillationTrainer(
        device="cpu",
        max_epochs=2,
        train_data_loader=[batch, batch],
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        label_loss=_Squares(),
        mutual_loss=MutualKLLoss(2.0),
        max_grad_norm=1.0,
    )


def run_process(rank, folder):
    """The life of one of the processes."""
    torch.set_num_threads(1)
    os.environ["LOCAL_RANK"] = str(rank)
    for name in ("peers", "teacher"):
        store = torch.distributed.FileStore(str(folder / f"{name}.store"), 2)
        network = network_of(name)
        group = ProcessGroup(rank, 2, store)
        group.train(lambda network=network: trainer_of(network, batch_of(rank)))
        torch.save(network.state_dict(), folder / f"{name}_{rank}.pt")


@pytest.mark.parametrize("name", ["peers", "teacher"])
def test_is_that_of_one_process_with_the_batches_of_both(both, name):
    network = network_of(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    trainer_of(network, batch_of(0, 1)).run()
    expected = network.state_dict()
    assert not any(torch.equal(before[key], value) for key, value in expected.items())
    for rank in range(2):
        found = torch.load(both / f"{name}_{rank}.pt", weights_only=True)
        torch.testing.assert_close(dict(found), dict(expected))


if __name__ == "__main__":
    # Forked from a process that has imported MONAI and done nothing yet: importing it twice is what
    # would take the time.
    torch.multiprocessing.start_processes(
        run_process, args=(Path(sys.argv[1]),), nprocs=2, start_method="fork"
    )
