from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from monai.data import Dataset
from monai.transforms import Compose, RandFlipd, RandScaleIntensityd

from medkd.handlers import EpochSeedHandler


def draws_of(seed, epochs, first=1):
    """What every source of random numbers gives in each epoch, after some use of all of them."""
    transform = Compose([RandFlipd("image", prob=0.5), RandScaleIntensityd("image", 0.5, prob=1.0)])
    dataset = Dataset([{"image": torch.arange(1.0, 7.0).view(1, 2, 3)}], transform)
    engine = Engine(lambda *_: None)
    EpochSeedHandler(seed, dataset).attach(engine)
    found = []

    def draw_all():
        legacy = np.random.rand()  # noqa: NPY002 - what MONAI's and users' transforms draw from
        image = dataset[0]["image"].flatten().tolist()
        return (torch.rand(1).item(), legacy, random.random(), *image)

    @engine.on(Events.STARTED)
    def start():
        engine.state.epoch = first - 1
        draw_all()

    @engine.on(Events.ITERATION_COMPLETED)
    def draw():
        found.append(draw_all())

    engine.run([0], max_epochs=epochs)
    return found


def test_an_epoch_depends_on_its_seed_and_number_alone():
    straight = draws_of(5, epochs=4)
    assert draws_of(5, epochs=4) == straight
    assert draws_of(5, epochs=4, first=3) == straight[2:]


def test_epochs_and_seeds_differ_in_every_source():
    streams = [*draws_of(5, epochs=3), *draws_of(6, epochs=3), *draws_of(0, epochs=3)]
    for source in zip(*streams, strict=True):
        assert len(set(source)) == len(streams)


def test_processes_that_train_together_draw_apart(monkeypatch):
    """Each sees its own batches; the first one sees what it would see alone."""
    streams = []
    for rank in range(3):
        monkeypatch.setattr("ignite.distributed.get_rank", lambda rank=rank: rank)
        streams += draws_of(5, epochs=2)
    monkeypatch.undo()
    assert streams[:2] == draws_of(5, epochs=2)
    for source in zip(*streams, strict=True):
        assert len(set(source)) == len(streams)


def test_takes_seeds_of_any_size():
    assert draws_of(2**40, epochs=1) != draws_of(2**40 + 1, epochs=1)


def test_data_sets_are_seeded_apart_and_the_first_as_if_alone():
    def scaled(count, *, among):
        """What each of some equal data sets gives in two epochs."""
        datasets = [
            Dataset([{"image": torch.ones(1, 2)}], RandScaleIntensityd("image", 0.5, prob=1.0))
            for _ in range(count)
        ]
        engine = Engine(lambda *_: [dataset[0]["image"][0, 0].item() for dataset in datasets])
        EpochSeedHandler(5, among(datasets)).attach(engine)
        found = []
        engine.add_event_handler(
            Events.ITERATION_COMPLETED, lambda: found.append(engine.state.output)
        )
        engine.run([0], max_epochs=2)
        return found

    several = scaled(3, among=list)
    assert len({factor for epoch in several for factor in epoch}) == 6
    alone = scaled(1, among=lambda datasets: datasets[0])
    assert [epoch[0] for epoch in several] == [epoch[0] for epoch in alone]
    disabled = scaled(1, among=lambda datasets: (datasets[0], None))
    assert disabled == alone


def test_rejects_a_negative_seed():
    with pytest.raises(ValueError, match="`seed` to be zero or more, but got -1"):
        EpochSeedHandler(-1, Dataset([]))
