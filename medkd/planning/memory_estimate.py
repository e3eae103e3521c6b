"""How much memory a training step takes, before it is run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["NetworkCost", "measure_network", "training_memory"]

_FLOAT_BYTES = 4
_DEEPEST = 4  # voxels along each axis at the deepest level of the patch that is measured
_STATE_BYTES = 16  # a weight, its gradient and AdamW's two moments, float32
_OVERHEAD = 1.5  # gradients of feature maps, scratch of convolutions, gaps between blocks
_CLASS_MAPS = 12  # copies of the class maps in softmax, one-hot label, losses and their gradients


@dataclass(frozen=True)
class NetworkCost:
    """What of a network's training memory does not depend on the patch.

    Args:
        num_parameters: weights.
        bytes_per_voxel: feature maps kept for the backward pass, a voxel of the input.
        num_classes: classes it tells apart.
    """

    num_parameters: int
    bytes_per_voxel: float
    num_classes: int


def measure_network(
    make: Callable[[], torch.nn.Module], *, num_channels: int, factors: Sequence[int]
) -> NetworkCost:
    """Count what a network keeps in one forward pass, without computing it (device ``meta``).

    The maps kept for the backward pass are counted as autograd stores them, each once; they grow
    with the number of voxels.

    Args:
        make: makes the network, of logits ``(B, C, *spatial)``.
        num_channels: image channels.
        factors: by how much the network shrinks each axis.

    Returns:
        The cost.

    Raises:
        ValueError: if its output is not of the size of its input.
    """
    shape = (1, num_channels, *(_DEEPEST * factor for factor in factors))
    kept: dict[int, torch.UntypedStorage] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if not isinstance(tensor, torch.nn.Parameter):
            storage = tensor.untyped_storage()
            kept[id(storage)] = storage
        return tensor

    with torch.device("meta"):
        network = make().train()
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            logits = network(torch.zeros(shape))
    if logits.shape[-len(factors) :] != shape[-len(factors) :]:
        raise InvalidValueError(
            f"Expected a network whose output is of the size of its input, {shape[2:]}, but got "
            f"{tuple(logits.shape)}."
        )
    return NetworkCost(
        num_parameters=sum(weight.numel() for weight in network.parameters()),
        bytes_per_voxel=sum(storage.nbytes() for storage in kept.values()) / math.prod(shape[2:]),
        num_classes=logits.shape[1],
    )


def training_memory(cost: NetworkCost, patch_size: Sequence[int], *, batch_size: int) -> float:
    """Estimated peak of a training step in float32, in bytes.

    16 bytes a weight, 1.5 times the feature maps kept for the backward pass, and 12 copies of the
    class maps. The factors were fitted to the peak of processes that train MONAI's ``UNet`` with
    Dice, cross-entropy and distillation on a CPU (96 x 96 x 64, batch of 2: estimated 483 MiB,
    measured 593; 96 x 96 x 96: 1120 and 1056). Mixed precision, as on a GPU, takes less.

    Args:
        cost: of the network.
        patch_size: voxels along each axis.
        batch_size: patches a step.

    Returns:
        Bytes, beside what Python and its libraries take themselves.

    Example:
        >>> cost = NetworkCost(num_parameters=1000, bytes_per_voxel=96.0, num_classes=2)
        >>> training_memory(cost, (10, 10, 10), batch_size=2)  # 16,000 + 2,000 x (144 + 96)
        496000.0
    """
    voxels = batch_size * math.prod(patch_size)
    maps = _OVERHEAD * cost.bytes_per_voxel + _CLASS_MAPS * _FLOAT_BYTES * cost.num_classes
    return _STATE_BYTES * cost.num_parameters + voxels * maps
