"""Whose the cases are, and dealing patients to splits."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

from medkd.data.manifests.file_pairing import natural_order
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["PATIENT_WORDS", "recognize_patients", "split_patients", "suggest_patients"]

# A word for a person with a number, and something after it: patient001_frame01, sub-07_ses-2.
PATIENT_WORDS = r"(?:^|[-_/])((?i:patient|subject|person|child|pat|sub)[-_]?\d+)(?=[-_/.])"
_GUESSES = (r"(\d+)[LR](?![A-Za-z])", r"(\d+)_?O[DS](?![A-Za-z])", r"([^/]*\d[^/]*)[-_][^-_/]*$")


def recognize_patients(paths: Sequence[str]) -> str | None:
    """A safe rule for the patient: names say ``patient`` or the like, and some have several cases.

    Args:
        paths: path of each case's image, relative to the data set's folder.

    Returns:
        A regular expression whose first group is the patient in every path, or None.

    Example:
        >>> names = ["patient001_frame01.nii.gz", "patient001_frame12.nii.gz"]
        >>> expression = recognize_patients(names)
        >>> [re.search(expression, name)[1] for name in names]
        ['patient001', 'patient001']
        >>> recognize_patients(["hippocampus_001.nii.gz", "hippocampus_003.nii.gz"])
    """
    return PATIENT_WORDS if _num_groups(PATIENT_WORDS, paths) else None


def suggest_patients(paths: Sequence[str]) -> str | None:
    r"""A rule for the patient that may be right, for a person to judge.

    Args:
        paths: path of each case's image, relative to the data set's folder.

    Returns:
        A regular expression by which a quarter of the cases or more share their patient, or None.

    Example:
        >>> suggest_patients(["i/1L.jpg", "i/1R.jpg", "i/2L.jpg"])
        '(\\d+)[LR](?![A-Za-z])'
        >>> suggest_patients(["hippocampus_001.nii.gz", "hippocampus_003.nii.gz"])
    """
    for expression in _GUESSES:
        if 1 < _num_groups(expression, paths) <= 0.75 * len(paths):
            return expression
    return None


def _num_groups(expression: str, paths: Sequence[str]) -> int:
    """How many patients there are by a rule; 0 if it misses a path or all have one case."""
    found = [re.search(expression, path) for path in paths]
    people = {match[1] for match in found if match is not None}
    return len(people) if all(found) and len(people) < len(paths) else 0


def split_patients(
    patients: Iterable[str], *, fractions: Mapping[str, float], seed: int
) -> dict[str, list[str]]:
    """Deal patients to splits by shares, every split getting at least one.

    Args:
        patients: the patients; their order and repetitions do not matter.
        fractions: split name to its share; the shares are above 0 and sum to 1.
        seed: seed of the shuffle.

    Returns:
        Split name to its patients, in the order of their names.

    Raises:
        ValueError: if a share is not above 0, they do not sum to 1, or there are fewer patients
            than splits.

    Example:
        >>> shares = {"train": 0.7, "validation": 0.1, "test": 0.2}
        >>> splits = split_patients(map(str, range(14)), fractions=shares, seed=0)
        >>> [len(patients) for patients in splits.values()]
        [10, 1, 3]
    """
    if min(fractions.values()) <= 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise InvalidValueError(
            f"Expected `fractions` to be above 0 and to sum to 1, but got {dict(fractions)}."
        )
    people = sorted(set(patients), key=natural_order)
    if len(people) < len(fractions):
        raise InvalidValueError(
            f"Expected at least one patient for each of the {len(fractions)} splits "
            f"({', '.join(fractions)}), but got {len(people)} patient(s)."
        )
    random.Random(seed).shuffle(people)
    splits, start, share = {}, 0, 0.0
    for position, (name, fraction) in enumerate(fractions.items(), start=1):
        share += fraction
        # Leave one patient for each split still to come, and take at least one.
        stop = min(round(share * len(people)), len(people) - (len(fractions) - position))
        stop = max(stop, start + 1)
        splits[name] = sorted(people[start:stop], key=natural_order)
        start = stop
    return splits
