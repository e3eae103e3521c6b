"""Several processes that do one run together: who does what, and who waits for whom."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import ignite.distributed as idist
import torch
import torch.distributed as dist
from ignite.engine import Engine, Events
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from medkd.errors import InvalidValueError
from medkd.progress import hide_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from monai.engines.trainer import Trainer
    from torch import nn
    from torch._C._distributed_c10d import Store

    from medkd.runs.run import Run

__all__ = [
    "ProcessGroup",
    "process_count",
    "process_device",
    "process_rank",
    "start_process_group",
]

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_POLL_SECONDS = 0.05
# Within a training, processes are apart by a case of the validation or the writing of a checkpoint.
_STEP_TIMEOUT = timedelta(hours=1)
# Long enough for torchrun to see the process that failed first, and to end this one.
_SECONDS_TO_BE_ENDED = 30


class ProcessGroup:
    """The processes of one run, seen from one of them.

    There are two kinds of waiting. Between stages, processes meet at the key-value store of
    ``torchrun``, which they ask again and again and **without a timeout**: training members takes
    as long as it takes, and one process may have more of them than another. None waits for what
    cannot come, for when a process fails, ``torchrun`` ends the others. Only while one network is
    trained on all processes is there a group of :mod:`torch.distributed`, with a timeout of an
    hour, as each step is a collective. Before and after, a process computes as if it were alone:
    what it then gathers, such as a metric of a member's validation, is its own.

    Args:
        rank: of this process; the main process has 0.
        size: how many processes there are.
        store: what they share; ``None`` for a process that is alone.
        device: this process's own.
    """

    def __init__(
        self,
        rank: int = 0,
        size: int = 1,
        store: Store | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.rank = rank
        self.size = size
        self.device = torch.device(device)
        self._store = store
        self._num_meetings = 0

    @property
    def is_main(self) -> bool:
        """Whether this is the one that writes what belongs to all."""
        return self.rank == 0

    def claim(self, task: str) -> bool:
        """Whether a task is this process's: it is that of the first one that asks.

        Args:
            task: its name.

        Returns:
            ``True`` in one process only.
        """
        return self._store is None or self._store.add(f"claims of {task}", 1) == 1

    def share(self, cases: Sequence[_T]) -> list[_T]:
        """This process's part of the cases whose scores are averaged over all processes.

        Args:
            cases: all cases.

        Returns:
            Every ``size``-th. Where there are fewer cases than processes, each process has all of
            them: none may be without, and a mean does not change when every case counts as often.
        """
        return list(cases if len(cases) < self.size else cases[self.rank :: self.size])

    def wait_for_all(self) -> None:
        """Go on when every process has come here."""
        self._num_meetings += 1
        meeting = f"meeting {self._num_meetings}"
        if self._store is not None and self._store.add(f"arrivals at {meeting}", 1) == self.size:
            self._announce(meeting)
        self._wait_for(meeting)

    def main_first(self, run: Run, name: str) -> None:
        """Evaluate an id of a run when all are here: the main process first.

        So files that one process makes are there when another asks for them, and what the main
        process refuses is refused once.

        Args:
            run: the run.
            name: the id as text, for a reference would be evaluated at once.
        """
        self.wait_for_all()
        if not self.is_main:
            self._wait_for(f"end of {name}")
        run.value(name)
        if self.is_main:
            self._announce(f"end of {name}")

    def main_only(self, run: Run, name: str) -> None:
        """Evaluate an id of a run in the main process; the others go on.

        Args:
            run: the run.
            name: the id as text.
        """
        if self.is_main:
            run.value(name)

    def train(self, build: Callable[[], Trainer]) -> None:
        """Train one network on all processes together.

        Each step averages the gradients of every process's batch. The main process's buffers, such
        as the statistics of a batch norm, are everyone's.

        Args:
            build: gives the engine. Its ``network`` is wrapped for the training; the network itself
                stays as it is for all others that hold it, so checkpoints are those of one process.
        """
        with self.one_error():
            trainer = build()
            if self._store is None:
                trainer.run()
            else:
                self._run(trainer)

    @contextmanager
    def one_error(self) -> Iterator[None]:
        """Have an error that several processes meet raised in one of them; the others end silent.

        They may meet the same one, as all read the same files, or a connection that broke because
        the first one failed.
        """
        try:
            yield
        except Exception:
            if self.claim("first error"):
                raise
            time.sleep(_SECONDS_TO_BE_ENDED)
            raise SystemExit(1) from None

    def _run(self, trainer: Trainer) -> None:
        # The cases are cached by now, which may have taken one process longer than another.
        self.wait_for_all()
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.set_device(self.device)
        dist.init_process_group(
            "nccl" if cuda else "gloo",
            store=self._store,
            rank=self.rank,
            world_size=self.size,
            timeout=_STEP_TIMEOUT,
        )
        idist.sync()
        network = trainer.network
        devices = [self.device] if cuda else None
        trainer.network = DistributedDataParallel(network, device_ids=devices)
        trainer.add_event_handler(
            Events.ITERATION_COMPLETED(event_filter=_ends_epoch), _take_buffers_of_main, network
        )
        _log.info("Training on %d processes, each with its own batch.", self.size)
        trainer.run()
        self.wait_for_all()
        idist.finalize()

    def _announce(self, event: str) -> None:
        if self._store is not None:
            self._store.set(event, "1")

    def _wait_for(self, event: str) -> None:
        while self._store is not None and not self._store.check([event]):
            time.sleep(_POLL_SECONDS)


def start_process_group(device: str | torch.device) -> ProcessGroup:
    """Join the processes that ``torchrun`` started; without it, a group of one.

    Progress bars are those of the main process from then on.

    Args:
        device: this process's own, see :func:`process_device`.

    Returns:
        The group.

    Raises:
        ValueError: if several processes would compute on one GPU.
    """
    rank, size = process_rank(), process_count()
    device = torch.device(device)
    if size == 1:
        return ProcessGroup(device=device)
    own = process_device()
    if device.type == "cuda" and device != own:
        raise InvalidValueError(
            f"Expected `device` to be {own} in process {rank} of {size}, but got {device}. Leave "
            "--device out, so that each process has a GPU of its own."
        )
    if rank > 0:
        hide_progress()
    store, _, _ = next(rendezvous("env://"))
    return ProcessGroup(rank, size, store, device)


def process_device() -> torch.device:
    """The device of this process: the GPU of its number on this machine, or the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", _from_torchrun("LOCAL_RANK", 0))


def process_rank() -> int:
    """The number of this process among those that ``torchrun`` started; 0 without it."""
    return _from_torchrun("RANK", 0)


def process_count() -> int:
    """How many processes ``torchrun`` started; 1 without it."""
    return _from_torchrun("WORLD_SIZE", 1)


def _from_torchrun(name: str, default: int) -> int:
    # A scheduler may set variables of these names for jobs that have nothing to do with each other.
    launched = dist.is_available() and dist.is_torchelastic_launched()
    return int(os.environ[name]) if launched else default


def _ends_epoch(engine: Engine, iteration: int) -> bool:
    return bool(iteration % engine.state.epoch_length == 0)


def _take_buffers_of_main(network: nn.Module) -> None:
    # Otherwise processes would validate networks that differ in their running statistics.
    for buffer in network.buffers():
        dist.broadcast(buffer, src=0)
