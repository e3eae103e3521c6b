from __future__ import annotations

import pytest
import torch
from ignite.engine import Events
from monai.data import DataLoader, Dataset
from monai.data.utils import set_rnd
from monai.engines import SupervisedTrainer
from monai.transforms import RandFlipd
from torch.utils.data import DistributedSampler, RandomSampler

from medkd.data import SemiSupervisedLoader

NUM_BATCHES = 4


class Cases(Dataset):
    """Images ``(1, 3, 2)`` of which every voxel tells its case, flipped at random."""

    def __init__(self, first, number, label):
        cases = [
            {"image": torch.arange(6.0).view(1, 3, 2) + 100 * (first + i)}
            | ({"label": torch.ones(1, 3, 2)} if label else {})
            for i in range(number)
        ]
        super().__init__(cases, RandFlipd("image", prob=0.5, spatial_axis=0))


def make(first, number, *, batch_size, label, workers=0, sampler=None):
    dataset = Cases(first, number, label)
    sampler = sampler or RandomSampler(dataset, num_samples=batch_size * NUM_BATCHES)
    return DataLoader(dataset, batch_size=batch_size, sampler=sampler, num_workers=workers)


@pytest.fixture
def loaders():
    return lambda workers=0: (
        make(0, 3, batch_size=2, label=True, workers=workers),
        make(50, 7, batch_size=3, label=False, workers=workers),
    )


def seed(loaders, value):
    torch.manual_seed(value)
    for number, loader in enumerate(loaders):
        set_rnd(loader.dataset, value + number)


def test_batches_hold_a_stated_number_of_each(loaders):
    loader = SemiSupervisedLoader(*loaders())
    batches = list(loader)
    assert len(batches) == len(loader) == NUM_BATCHES
    for batch in batches:
        assert sorted(batch) == ["image", "label", "unlabeled_image"]
        assert tuple(batch["image"].shape) == tuple(batch["label"].shape) == (2, 1, 3, 2)
        assert tuple(batch["unlabeled_image"].shape) == (3, 1, 3, 2)
        assert float(batch["image"].max()) < 1000 < float(batch["unlabeled_image"].min())


def test_keys_are_those_stated(loaders):
    labeled, unlabeled = loaders()
    renamed = [{"scan": batch["image"]} for batch in unlabeled]
    batch = next(iter(SemiSupervisedLoader(labeled, renamed, "scan", "more")))
    assert sorted(batch) == ["image", "label", "more"]


def test_without_unlabeled_cases_it_is_the_labeled_loader(loaders):
    labeled, _ = loaders()
    loader = SemiSupervisedLoader(labeled)
    assert len(loader) == NUM_BATCHES
    assert all(sorted(batch) == ["image", "label"] for batch in loader)


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_batches_again(loaders, workers):
    pair = loaders(workers)
    loader = SemiSupervisedLoader(*pair)
    epochs = []
    for value in (5, 6, 5):
        seed(pair, value)
        epochs.append([torch.cat([b["image"], b["unlabeled_image"]]) for b in loader])
    assert torch.equal(torch.stack(epochs[0]), torch.stack(epochs[2]))
    assert not torch.equal(torch.stack(epochs[0]), torch.stack(epochs[1]))


def test_labeled_batches_do_not_depend_on_unlabeled_ones(loaders):
    labeled, unlabeled = loaders()
    drawn = []
    for other in (unlabeled, None):
        seed((labeled, unlabeled), 3)
        drawn.append(torch.stack([b["image"] for b in SemiSupervisedLoader(labeled, other)]))
    assert torch.equal(*drawn)


def test_trains_in_an_engine_of_monai(loaders):
    network = torch.nn.Conv2d(1, 1, 1)
    seen = []

    def step(_, batch):
        seen.append(len(batch["unlabeled_image"]))
        return {"image": batch["image"], "loss": network(batch["unlabeled_image"]).mean()}

    trainer = SupervisedTrainer(
        device="cpu",
        max_epochs=2,
        train_data_loader=SemiSupervisedLoader(*loaders()),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=0.1),
        loss_function=torch.nn.MSELoss(),
        iteration_update=step,
    )
    ends = []
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda e: ends.append(e.state.iteration))
    trainer.run()
    assert trainer.state.epoch_length == NUM_BATCHES
    assert ends == [NUM_BATCHES, 2 * NUM_BATCHES]
    assert seen == [3] * 2 * NUM_BATCHES


def test_tells_the_epoch_to_samplers_that_ask():
    datasets = Cases(0, 8, True), Cases(50, 8, False)
    samplers = [DistributedSampler(d, num_replicas=2, rank=1, seed=4) for d in datasets]
    pair = [
        DataLoader(dataset, batch_size=1, sampler=sampler)
        for dataset, sampler in zip(datasets, samplers, strict=True)
    ]
    SemiSupervisedLoader(*pair).set_epoch(7)
    assert [sampler.epoch for sampler in samplers] == [7, 7]
    SemiSupervisedLoader(pair[0]).set_epoch(8)
    assert [sampler.epoch for sampler in samplers] == [8, 7]
    SemiSupervisedLoader([1], [2]).set_epoch(1)  # samplers that do not ask, or none


def test_batches_are_not_modified():
    labeled, unlabeled = [{"image": 1, "label": 2}], [{"image": 3, "other": 4}]
    list(SemiSupervisedLoader(labeled, unlabeled))
    assert (labeled, unlabeled) == ([{"image": 1, "label": 2}], [{"image": 3, "other": 4}])


def test_rejects_loaders_of_two_lengths(loaders):
    labeled, _ = loaders()
    with pytest.raises(ValueError, match="of one number of batches, but got 4 and 2"):
        SemiSupervisedLoader(labeled, [{}, {}])
