"""Members of one architecture run as one network with one more axis."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import torch
from torch.func import functional_call, stack_module_state, vmap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

    from medkd.types import Logits, MemberLogits

__all__ = ["batch_members", "have_one_architecture", "is_faster"]

_LOGGER = logging.getLogger(__name__)

# Held by every module beside its settings, and compared by shape.
_STATE = {"_parameters", "_buffers", "_modules"}


def have_one_architecture(members: Sequence[nn.Module]) -> bool:
    """Whether the members differ in nothing but the values of their weights and buffers.

    Modules are compared by name, type and every setting, weights and buffers by name, shape, dtype
    and device. What cannot be compared (an own function, a hook) counts as different.

    Args:
        members: the networks, one or more.

    Example:
        >>> from torch import nn
        >>> have_one_architecture([nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3)])
        True
        >>> have_one_architecture([nn.Conv2d(1, 2, 3), nn.Conv2d(1, 2, 3, stride=2)])
        False
    """
    first = _architecture(members[0])
    return all(_equal(first, _architecture(member)) for member in members[1:])


def batch_members(members: Sequence[nn.Module]) -> Callable[[Tensor], MemberLogits]:
    """One function that runs all members on a window at once.

    The weights are copied as they are now, so the function is for one image: weights that are
    loaded or moved later are not seen.

    Args:
        members: networks of one architecture in evaluation mode, see
            :func:`have_one_architecture`.

    Returns:
        Function from a window ``(B, C_in, *spatial)`` to logits ``(M, B, C, *spatial)``. They equal
        those of the members one by one up to rounding. Under a CPU's autocast they are float32, for
        it does not reach convolutions that are batched.

    Example:
        >>> from torch import nn
        >>> members = [nn.Conv2d(1, 2, 1).eval() for _ in range(3)]
        >>> tuple(batch_members(members)(torch.zeros(4, 1, 6, 5)).shape)  # (M, B, C, *spatial)
        (3, 4, 2, 6, 5)
    """
    weights, buffers = stack_module_state(list(members))

    def logits_of(weights: dict[str, Tensor], buffers: dict[str, Tensor], window: Tensor) -> Logits:
        return functional_call(members[0], (weights, buffers), (window,))

    batched = vmap(logits_of, in_dims=(0, 0, None))
    return lambda window: batched(weights, buffers, window)


def is_faster(
    candidate: Callable[[Tensor], Tensor], established: Callable[[Tensor], Tensor], window: Tensor
) -> bool:
    """Whether a second way of computing the same takes less time on this window.

    Each runs once unmeasured and then twice in turn; the shorter of the two times counts.

    Args:
        candidate: false is returned if it cannot compute the window at all.
        established: known to be able to.
        window: ``(B, C_in, *spatial)``.
    """
    try:
        candidate(window)
    except RuntimeError as error:  # an operation that cannot be batched, or too little memory
        _LOGGER.info("Members cannot run batched: %s", error)
        return False
    established(window)
    rounds = [(_seconds(candidate, window), _seconds(established, window)) for _ in range(2)]
    ours, theirs = (min(seconds) for seconds in zip(*rounds, strict=True))
    _LOGGER.info("A window takes %.4f s batched and %.4f s one by one.", ours, theirs)
    return ours < theirs


def _seconds(run: Callable[[Tensor], Tensor], window: Tensor) -> float:
    _wait_for(window.device)
    start = time.perf_counter()
    run(window)
    _wait_for(window.device)
    return time.perf_counter() - start


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _architecture(network: nn.Module) -> dict[str, Any]:
    modules = {
        name: (type(module), {key: v for key, v in vars(module).items() if key not in _STATE})
        for name, module in network.named_modules()
    }
    state = {
        name: (tensor.shape, tensor.dtype, tensor.device)
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    return {"modules": modules, "state": state}


def _equal(one: object, other: object) -> bool:
    try:
        return bool(one == other)
    except (RuntimeError, ValueError):  # tensors and arrays compare element by element
        return False
