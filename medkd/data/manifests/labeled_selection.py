"""Which cases of a data set are trained on with their label, and which without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["select_labeled", "select_unlabeled"]

_LABELS = ("label", "label_2nd")


def select_labeled(
    cases: Sequence[Mapping[str, Any]], *, num_labeled: int | None
) -> list[Mapping[str, Any]]:
    """The first labeled cases, in stored order.

    Which cases are labeled is part of a semi-supervised experiment as the split is: it follows from
    the order of the manifest, not from a seed.

    Args:
        cases: items of :func:`medkd.data.load_cases`, those without ``label`` being unlabeled.
        num_labeled: how many; 0 or None takes all that are labeled.

    Returns:
        The chosen cases themselves.

    Raises:
        ValueError: if ``num_labeled`` is below 0 or above the number of labeled cases, or no case
            is labeled.

    Example:
        >>> cases = [{"case_id": "a"}, *({"case_id": i, "label": f"{i}.nii"} for i in "bcd")]
        >>> [case["case_id"] for case in select_labeled(cases, num_labeled=2)]
        ['b', 'c']
        >>> [case["case_id"] for case in select_unlabeled(cases, num_labeled=2)]
        ['a', 'd']
    """
    number = num_labeled or 0
    check_at_least(number, 0, "num_labeled")
    labeled = [case for case in cases if "label" in case]
    if not labeled:
        raise InvalidValueError(
            f"Expected at least one case with a label, but got none of {len(cases)} cases."
        )
    if number > len(labeled):
        raise InvalidValueError(
            f"Expected `num_labeled` to be at most the {len(labeled)} cases that have a label, but "
            f"got {number}."
        )
    return labeled[:number] if number else labeled


def select_unlabeled(
    cases: Sequence[Mapping[str, Any]], *, num_labeled: int | None
) -> list[dict[str, Any]]:
    """All cases that :func:`select_labeled` does not take, stripped of their labels.

    A label that is not to be known is not handed on, so that no transform can read it, place a crop
    by it, or keep it in a batch.

    Args:
        cases: items of :func:`medkd.data.load_cases`, those without ``label`` being unlabeled.
        num_labeled: as for :func:`select_labeled`.

    Returns:
        Copies without ``label`` and ``label_2nd``, in stored order; empty if every case is labeled
        and taken.

    Raises:
        ValueError: as :func:`select_labeled`.
    """
    taken = {id(case) for case in select_labeled(cases, num_labeled=num_labeled)}
    return [
        {key: value for key, value in case.items() if key not in _LABELS}
        for case in cases
        if id(case) not in taken
    ]
