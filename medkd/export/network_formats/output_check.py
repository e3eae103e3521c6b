"""Whether a network in another form says what it says in PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from medkd.errors import FailureError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

__all__ = ["OUTPUT_TOLERANCE", "check_outputs"]

OUTPUT_TOLERANCE = 1e-4
"""How far a logit may be from PyTorch's, in parts of the largest logit of the windows.

Other orders of the same additions move logits by about a tenth of that at most; what is wrong, such
as weights of another network or a layer that was traced at one size, moves them by far more.
"""


@torch.no_grad()
def check_outputs(
    network: Callable[[Tensor], Tensor],
    converted: Callable[[Tensor], Tensor],
    windows: Sequence[Tensor],
    *,
    name: str,
) -> float:
    """Compare the logits of two forms of a network.

    Args:
        network: in PyTorch, in evaluation mode.
        converted: the same in another form.
        windows: batches ``(B, C_in, *window)`` of any sizes, at least one.
        name: of the other form, for the message.

    Returns:
        The largest difference between logits in parts of the largest logit of their batch.

    Raises:
        ValueError: if there are no windows.
        RuntimeError: if the shapes differ, the difference is above :data:`OUTPUT_TOLERANCE`, or
            there is none because a logit is NaN or infinite.

    Example:
        >>> windows = [torch.ones(1, 1, 4, 4)]
        >>> round(check_outputs(lambda w: w, lambda w: w * 1.00001, windows, name="other"), 6)
        1e-05
    """
    if not windows:
        raise InvalidValueError("Expected `windows` to hold at least one batch, but got none.")
    return max(_difference(network(w), converted(w), name=name) for w in windows)


def _difference(expected: Tensor, found: Tensor, *, name: str) -> float:
    if found.shape != expected.shape:
        raise FailureError(
            f"Expected {name} to give logits {tuple(expected.shape)} as PyTorch does, but got "
            f"shape {tuple(found.shape)}."
        )
    largest = float(expected.abs().max())
    # Where all logits are zero, so must the others be.
    scale = largest if largest > 0 else 1.0
    difference = float((found.to(expected.device) - expected).abs().max()) / scale
    if not difference <= OUTPUT_TOLERANCE:  # which NaN is not, either
        raise FailureError(
            f"Expected {name} to give PyTorch's logits within {OUTPUT_TOLERANCE:g} of the "
            f"largest, but on windows of {tuple(expected.shape[2:])} they differ by "
            f"{difference:.2g} of it."
        )
    return difference
