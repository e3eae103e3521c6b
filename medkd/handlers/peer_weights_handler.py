"""The weights of the networks that a student was trained with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import ignite.distributed as idist
from ignite.engine import Engine, Events

from medkd.networks import save_weights

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

__all__ = ["PeerWeightsHandler"]


class PeerWeightsHandler:
    """Leaves the weights of the student's peers at the end of a training, one file each.

    :func:`medkd.teachers.load_peers` reads them. Where several processes train, the first one
    writes. In a configuration it stands **before** :class:`ResumeHandler`, whose ``model_file`` is
    what says that a training is done: the other way round, a kill between the two would leave a
    finished student without its peers.

    Args:
        directory: where ``peer_2.pt``, ``peer_3.pt``, ... go.
        networks: all networks, the student first; it is the one that is not written.
    """

    def __init__(self, directory: str | Path, networks: Sequence[nn.Module]) -> None:
        self.directory = Path(directory)
        self.networks = list(networks)

    def attach(self, engine: Engine) -> None:
        """Write on completion."""
        engine.add_event_handler(Events.COMPLETED, self)

    def __call__(self, engine: Engine) -> None:
        """Write the weights; not if the training was stopped."""
        if engine.state.epoch < engine.state.max_epochs or idist.get_rank() > 0:
            return
        for number, network in enumerate(self.networks[1:], start=2):
            save_weights(network, self.directory / f"peer_{number}.pt")
