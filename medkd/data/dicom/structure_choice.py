"""Which structures become classes, and under which names."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.data.dicom.structure_names import name_key, recognize_structure
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["StructureChoice", "choose_structures"]


@dataclass(frozen=True)
class StructureChoice:
    """The classes to be.

    Args:
        class_names: in the order of their index, without background.
        keys: of each class: what the names in the files come down to.
        decided: sentences on what was decided, without a name that the caller did not write.
    """

    class_names: tuple[str, ...]
    keys: tuple[str, ...]
    decided: str

    def find(self, name: str) -> str | None:
        """The class that a structure of a file is.

        Args:
            name: as the file has it.

        Returns:
            Its name, or None if it was not chosen.
        """
        key = _key(name)
        return self.class_names[self.keys.index(key)] if key in self.keys else None


def choose_structures(
    names: Sequence[Sequence[str]], *, wanted: Sequence[str] | None
) -> StructureChoice:
    """Choose structures.

    Args:
        names: of each series, the names of its structures.
        wanted: names of those to take, in any spelling; or None for all known names that every
            series has.

    Returns:
        The choice.

    Raises:
        ValueError: if nothing is left, two wanted names are one structure, or one is in no series.

    Example:
        >>> choose_structures([["GTV-1", "Doe"], ["gtv 1", "Heart"]], wanted=None).class_names
        ('gtv_1',)
    """
    counts = Counter(key for stated in names for key in {_key(name) for name in stated})
    if wanted is not None:
        return _take(wanted, counts, num_series=len(names))
    known = {
        _key(name): found.name
        for stated in names
        for name in stated
        if (found := recognize_structure(name)) is not None
    }
    shared = sorted(key for key in known if counts[key] == len(names))
    unknown, some = len(counts) - len(known), len(known) - len(shared)
    if not shared:
        raise InvalidValueError(
            f"Expected a structure of a known name in all of the {len(names)} series, but {some} "
            f"are known in some, and {unknown} have names that are not known and not shown, for a "
            "name may be a patient's: write those that you want after --structures."
        )
    unkept = (
        f"{some} structures are left out, for not every series has them.",
        f"{unknown} structures are left out, for their names are not known and may be a patient's.",
    )
    decided = " ".join(
        sentence for number, sentence in zip((some, unknown), unkept, strict=True) if number
    )
    return StructureChoice(tuple(known[key] for key in shared), tuple(shared), decided)


def _key(name: str) -> str:
    """One for all spellings, also of the side: ``Lung_L`` is ``left lung``."""
    found = recognize_structure(name)
    return name_key(found.name if found else name)


def _take(wanted: Sequence[str], counts: Counter[str], *, num_series: int) -> StructureChoice:
    keys = tuple(map(_key, wanted))
    if not keys or "" in keys or "background" in keys or len(set(keys)) < len(keys):
        raise InvalidValueError(
            f"Expected `structures` to be different names, but got {', '.join(wanted) or 'none'}."
        )
    missing = [name for name, key in zip(wanted, keys, strict=True) if not counts[key]]
    if missing:
        raise InvalidValueError(
            f"Expected `structures` to be in a series at least, but got {', '.join(missing)}."
        )
    partly = [
        f"{name} is in {counts[key]} of {num_series} series, and background in the others."
        for name, key in zip(wanted, keys, strict=True)
        if counts[key] < num_series
    ]
    return StructureChoice(tuple(map(name_key, wanted)), keys, " ".join(partly))
