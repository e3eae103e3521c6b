"""Go on after a kill, from the last epoch that was finished."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ignite.distributed as idist
from ignite.engine import Engine, Events
from torch import nn

from medkd.errors import InvalidValueError
from medkd.networks import check_state, load_state, save_state, save_weights

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ResumeHandler"]

_OWN_NAMES = ("network", "epoch", "iteration")
_log = logging.getLogger(__name__)


class ResumeHandler:
    """Saves a checkpoint at each epoch's end, goes on from it, and leaves the weights at the end.

    MONAI's ``CheckpointSaver`` writes in place, so that a kill in the middle of a write loses the
    checkpoint it replaces; here a checkpoint is written whole or not at all. It is deleted once
    the final weights lie in ``model_file``. Where several processes train one network, all load and
    the first one writes.

    Args:
        checkpoint_file: the checkpoint of a run that is not finished.
        model_file: where the weights of the finished network go, and nothing but these.
        network: the network.
        objects: what else has a ``state_dict``: optimizer, schedule, history.
        model_network: whose weights go to ``model_file``: the student, where ``network`` holds
            others besides; ``None`` for ``network``.

    Raises:
        ValueError: on start, if the checkpoint is damaged, of another architecture or of other
            objects.
    """

    def __init__(
        self,
        checkpoint_file: str | Path,
        model_file: str | Path,
        network: nn.Module,
        objects: Mapping[str, Any],
        model_network: nn.Module | None = None,
    ) -> None:
        self.checkpoint_file = Path(checkpoint_file)
        self.model_file = Path(model_file)
        self.network = network
        self.objects = dict(objects)
        self.model_network = network if model_network is None else model_network

    def attach(self, engine: Engine) -> None:
        """Load on start, save at each epoch's end, finish on completion."""
        engine.add_event_handler(Events.STARTED, self.load)
        engine.add_event_handler(Events.EPOCH_COMPLETED, self.save)
        engine.add_event_handler(Events.COMPLETED, self.finish)

    def load(self, engine: Engine) -> None:
        """Go on from the checkpoint, if there is one."""
        if not self.checkpoint_file.is_file():
            return
        state = load_state(self.checkpoint_file)
        self._check_names(state, engine)
        check_state(self.network, state["network"], self.checkpoint_file)
        self.network.load_state_dict(state["network"])
        for name, item in self._stateful(engine).items():
            item.load_state_dict(state[name])
        engine.state.epoch = state["epoch"]
        engine.state.iteration = state["iteration"]
        _log.info("Going on after epoch %d of %d.", state["epoch"], engine.state.max_epochs)

    def save(self, engine: Engine) -> None:
        """Write the checkpoint of the epoch that ended."""
        if idist.get_rank() > 0:
            return
        state = {name: item.state_dict() for name, item in self._stateful(engine).items()}
        state["network"] = self.network.state_dict()
        state["epoch"] = engine.state.epoch
        state["iteration"] = engine.state.iteration
        save_state(state, self.checkpoint_file)

    def finish(self, engine: Engine) -> None:
        """Write the final weights, then drop the checkpoint; not if the training was stopped."""
        if engine.state.epoch < engine.state.max_epochs or idist.get_rank() > 0:
            return
        save_weights(self.model_network, self.model_file)
        self.checkpoint_file.unlink(missing_ok=True)

    def _check_names(self, state: Any, engine: Engine) -> None:  # noqa: ANN401 - as it was read
        names = sorted({*self._stateful(engine), *_OWN_NAMES})
        found = sorted(state) if isinstance(state, dict) else type(state).__name__
        if found != names:
            raise InvalidValueError(
                f"Expected {self.checkpoint_file} to be a checkpoint of {', '.join(names)}, but "
                f"got {found}. Remove it to train from the start."
            )

    def _stateful(self, engine: Engine) -> dict[str, Any]:
        scaler = getattr(engine, "scaler", None)
        return self.objects if scaler is None else {**self.objects, "scaler": scaler}
