"""Going through the voxels of a case in pieces that fit the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd._checks import check_batch, check_label, check_mask
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from medkd.types import Label, Mask, Probs

__all__ = ["cases_in_chunks", "label_pairs_in_chunks", "maps_in_chunks"]

# Float64 copies of larger chunks leave the cache. And of 32,768 voxels and more torch shares every
# operation out among its threads, which on a machine that others use are waited for a hundred times
# as long as the work takes.
_CPU_CHUNK = (1 << 15) - 1
_DEVICE_CHUNK = 1 << 22  # an accelerator has no such limit, but waits for every chunk


def cases_in_chunks(
    probs: Probs, label: Label, mask: Mask | None
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """The valid voxels of each case, in chunks, after checking the arguments.

    Args:
        probs: class probabilities, ``(B, C, *spatial)``.
        label: class index, ``(B, 1, *spatial)``, whole numbers in ``[0, C)`` where valid.
        mask: bool ``(B, 1, *spatial)``, the valid voxels; ``None`` for all.

    Yields:
        For each case an iterator over pairs of probabilities ``(C, voxels)`` and int64 label
        ``(voxels,)``. A chunk has at least one voxel. What lies outside the mask is not looked at.

    Raises:
        ValueError: if a shape does not fit, or a valid voxel of ``label`` is no class index.
        TypeError: if a dtype does not fit.
    """
    check_batch(probs, "probs")
    check_label(label, probs)
    check_mask(mask, probs)
    return _cases(_plain(probs), _plain(label), mask, probs.shape[1])


def label_pairs_in_chunks(
    pred_label: Label, label: Label, num_classes: int, mask: Mask | None
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    """The valid voxels of two label maps of one shape, case by case, in chunks.

    Args:
        pred_label: predicted class index, ``(B, 1, *spatial)``.
        label: class index, ``(B, 1, *spatial)``.
        num_classes: ``C``.
        mask: bool ``(B, 1, *spatial)``, the valid voxels; ``None`` for all.

    Yields:
        For each case an iterator over pairs of int64 predictions and labels, both ``(voxels,)``.

    Raises:
        ValueError: if a valid voxel is no class index.
    """
    for chunks in _cases(_plain(pred_label), _plain(label), mask, num_classes):
        yield (
            (_class_index(chunk_pred.squeeze(0), num_classes, "pred_label"), chunk_label)
            for chunk_pred, chunk_label in chunks
        )


def maps_in_chunks(
    maps: Sequence[Tensor], mask: Mask | None
) -> Iterator[Iterator[tuple[Tensor, ...]]]:
    """The valid voxels of several maps of one shape, case by case, in chunks.

    Args:
        maps: each ``(B, 1, *spatial)``, of any dtype.
        mask: bool ``(B, 1, *spatial)``, the valid voxels; ``None`` for all.

    Yields:
        For each case an iterator over tuples of one ``(voxels,)`` per map. A chunk has at least one
        voxel.
    """
    plain = [_plain(one) for one in maps]
    for case in range(plain[0].shape[0]):
        case_mask = None if mask is None else _plain(mask)[case].flatten()
        yield _map_chunks([one[case].flatten() for one in plain], case_mask)


def _map_chunks(maps: Sequence[Tensor], mask: Tensor | None) -> Iterator[tuple[Tensor, ...]]:
    size = _CPU_CHUNK if maps[0].device.type == "cpu" else _DEVICE_CHUNK
    for start in range(0, maps[0].numel(), size):
        part = slice(start, start + size)
        chunk = tuple(one[part] for one in maps)
        if mask is not None:
            valid = mask[part].nonzero().squeeze(1)
            chunk = tuple(one.index_select(0, valid) for one in chunk)
        if chunk[0].numel() > 0:
            yield chunk


def _cases(
    values: Tensor, label: Tensor, mask: Tensor | None, num_classes: int
) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
    for case in range(label.shape[0]):
        case_mask = None if mask is None else _plain(mask)[case].flatten()
        yield _chunks(values[case].flatten(1), label[case].flatten(), case_mask, num_classes)


def _chunks(
    values: Tensor, label: Tensor, mask: Tensor | None, num_classes: int
) -> Iterator[tuple[Tensor, Tensor]]:
    size = _CPU_CHUNK if label.device.type == "cpu" else _DEVICE_CHUNK
    for start in range(0, label.numel(), size):
        part = slice(start, start + size)
        chunk_values, chunk_label = values[:, part], label[part]
        if mask is not None:
            valid = mask[part].nonzero().squeeze(1)
            chunk_values = _selected(chunk_values, valid)
            chunk_label = chunk_label.index_select(0, valid)
        if chunk_label.numel() > 0:
            yield chunk_values, _class_index(chunk_label, num_classes, "label")


def _selected(values: Tensor, valid: Tensor) -> Tensor:
    """Some voxels of ``(C, voxels)``, row by row: all rows at once would start torch's threads."""
    selected = values.new_empty(values.shape[0], valid.numel())
    for row, target in zip(values, selected, strict=True):
        torch.index_select(row, 0, valid, out=target)
    return selected


def _class_index(label: Tensor, num_classes: int, name: str) -> Tensor:
    lowest, highest = (bound.item() for bound in label.aminmax())
    if not (lowest >= 0 and highest < num_classes):  # this way round, NaN is refused
        raise InvalidValueError(
            f"Expected `{name}` to be class indices from 0 to {num_classes - 1}, "
            f"but got values from {lowest} to {highest}."
        )
    index = label.long()
    if label.is_floating_point() and not torch.equal(index.to(label.dtype), label):
        raise InvalidValueError(f"Expected `{name}` to be class indices, but got fractions.")
    return index


def _plain(tensor: Tensor) -> Tensor:
    # A subclass such as MONAI's MetaTensor pays for its metadata on every operation of every chunk.
    return tensor.detach().as_subclass(torch.Tensor)
