"""Members that come one after the other, taken together."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from medkd.types import MemberProbs, Probs

__all__ = ["join_members", "mean_of_members"]


def join_members(predictions: Iterable[MemberProbs], *, num_predictions: int) -> MemberProbs:
    """The members of all predictions, in their order.

    Each is copied in as it comes: a list of all and then ``torch.cat`` would hold everything twice.

    Args:
        predictions: one or more, each ``(M, B, C, *spatial)`` of one shape, dtype and device.
        num_predictions: how many will come.

    Returns:
        ``(num_predictions * M, B, C, *spatial)``.
    """
    remaining = iter(predictions)
    first = next(remaining)
    num_members = len(first)
    joined = first.new_empty((num_predictions * num_members, *first.shape[1:]))
    joined[:num_members] = first
    del first
    for number, member_probs in enumerate(remaining, start=1):
        joined[number * num_members : (number + 1) * num_members] = member_probs
        del member_probs  # or it would be held while the next one is computed
    return joined


def mean_of_members(members: Iterable[Probs]) -> Probs:
    """The mean of probabilities, held one at a time beside their sum.

    Args:
        members: one or more, each ``(B, C, *spatial)`` of one shape, dtype and device; not
            modified.

    Returns:
        ``(B, C, *spatial)``.
    """
    remaining = iter(members)
    total = next(remaining).clone()
    num_members = 1
    for probs in remaining:
        total += probs
        num_members += 1
        del probs  # or it would be held while the next one is computed
    return total.div_(num_members)
