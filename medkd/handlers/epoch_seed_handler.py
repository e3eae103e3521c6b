"""Every epoch draws from its own seed, so a resumed run draws what an unbroken one would have."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import ignite.distributed as idist
import numpy as np
import torch
from ignite.engine import Engine, Events
from monai.data.utils import set_rnd

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch.utils.data import Dataset

__all__ = ["EpochSeedHandler"]

# Far apart, so that the epochs of neighboring seeds never share a stream.
_SEED_STRIDE = 1_000_003
_MAX_SEED = 2**32
# The golden section of all seeds: its multiples lie as far from each other as they can.
_PROCESS_STRIDE = 2_654_435_769
# Likewise by the square root of two, so that a data set of one process is none of another's.
_DATASET_STRIDE = 1_779_033_703


class EpochSeedHandler:
    """Seeds torch, NumPy, ``random`` and the data set's random transforms at each epoch's start.

    The seed is a function of ``seed``, the epoch's number and, where several processes train one
    network, the process's rank alone. A run that is killed and
    goes on from the checkpoint of its last epoch therefore sees the same batches and dropout as one
    that was never killed, and on a CPU ends with the same bits.

    Args:
        seed: of the run, not negative.
        dataset: the training data set, whose random transforms are seeded; workers of a loader
            draw theirs from torch. Several, such as labeled and unlabeled cases, are seeded each by
            another number, so that they are not flipped alike; ``None`` among them is left out.

    Raises:
        ValueError: if ``seed`` is negative.
    """

    def __init__(
        self,
        seed: int,
        dataset: Dataset | Sequence[Dataset | None],  # type: ignore[type-arg]
    ) -> None:
        if seed < 0:
            raise InvalidValueError(f"Expected `seed` to be zero or more, but got {seed}.")
        self.seed = seed
        self.datasets = list(dataset) if isinstance(dataset, list | tuple) else [dataset]

    def attach(self, engine: Engine) -> None:
        """Seed at the start of each epoch, before the engine asks its loader for a batch."""
        engine.add_event_handler(Events.EPOCH_STARTED, self)

    def __call__(self, engine: Engine) -> None:
        """Seed everything for the epoch that begins."""
        seed = self.seed * _SEED_STRIDE + engine.state.epoch + idist.get_rank() * _PROCESS_STRIDE
        seed %= _MAX_SEED
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - MONAI's and users' transforms draw from it
        torch.manual_seed(seed)
        for index, dataset in enumerate(self.datasets):
            if dataset is not None:
                set_rnd(dataset, (seed + index * _DATASET_STRIDE) % _MAX_SEED)
