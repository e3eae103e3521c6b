"""Windows of a real image, of several sizes, to compare two forms of a network on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor, nn

__all__ = ["cut_check_windows"]


def cut_check_windows(image: Tensor, patch_size: Sequence[int], network: nn.Module) -> list[Tensor]:
    """Cut windows from the middle and the beginning of an image.

    Args:
        image: as the network sees it, ``(C_in, *spatial)``.
        patch_size: of the run's windows, one side an axis.
        network: whatever it does not take, as one of fixed size, is left out.

    Returns:
        A batch of two windows of ``patch_size``, and for each axis a single one twice as long
        along it; what reaches beyond the image is zero.

    Example:
        >>> windows = cut_check_windows(torch.ones(1, 9, 9), (4, 6), torch.nn.Identity())
        >>> [tuple(window.shape) for window in windows]
        [(2, 1, 4, 6), (1, 1, 8, 6), (1, 1, 4, 12)]
    """
    size = list(patch_size)
    middle = [max(n - s, 0) // 2 for n, s in zip(image.shape[1:], size, strict=True)]
    pair = torch.stack([_cut(image, middle, size), _cut(image, [0] * len(size), size)])
    longer = [
        _cut(image, middle, [*size[:axis], 2 * size[axis], *size[axis + 1 :]]).unsqueeze(0)
        for axis in range(len(size))
    ]
    return [pair, *(window for window in longer if _takes(network, window))]


def _cut(image: Tensor, start: Sequence[int], size: Sequence[int]) -> Tensor:
    window = image.new_zeros(len(image), *size)
    part = image[
        (slice(None), *(slice(s, s + length) for s, length in zip(start, size, strict=True)))
    ]
    window[(slice(None), *(slice(0, length) for length in part.shape[1:]))] = part
    return window


@torch.no_grad()
def _takes(network: nn.Module, window: Tensor) -> bool:
    try:
        network(window)
    except Exception:  # a layer says what it does not take in whatever way it likes
        return False
    return True
