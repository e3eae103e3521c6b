"""The grid that volumes were scored on, and words for what is counted on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError
from medkd.reports.number_texts import NO_VALUE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["VolumeGrid", "in_distance_unit", "in_voxels"]

_OF_VOLUMES = {
    "pixel": "voxel",
    "Pixel": "Voxel",
    "shared area": "shared volume",
    "both areas": "both volumes",
}


@dataclass(frozen=True)
class VolumeGrid:
    """Where volumes were scored.

    Attributes:
        spacings: from voxel to voxel along each axis, by case id.
        band_radius: half the width of the band round the label's surface.
        distance_unit: of both, ``"mm"``, or ``"voxels"`` where the files have lost their spacing.

    Raises:
        ValueError: if there is no case, or cases differ in their number of axes.

    Example:
        >>> VolumeGrid({"a": (1.0, 1.0, 3.0), "b": (1.0, 1.0, 2.5)}, 3.0).text
        '1 × 1 × 2.5–3 mm'
    """  # noqa: RUF002 - typeset

    spacings: Mapping[str, tuple[float, ...]]
    band_radius: float
    distance_unit: str = "mm"

    def __post_init__(self) -> None:
        if len({len(spacing) for spacing in self.spacings.values()}) != 1:
            raise InvalidValueError(
                "Expected `spacings` of at least one case, each of as many axes, "
                f"but got {dict(self.spacings)}."
            )

    @property
    def lowest(self) -> tuple[float, ...]:
        """The least spacing of each axis."""
        return tuple(min(sizes) for sizes in zip(*self.spacings.values(), strict=True))

    @property
    def highest(self) -> tuple[float, ...]:
        """The greatest spacing of each axis."""
        return tuple(max(sizes) for sizes in zip(*self.spacings.values(), strict=True))

    @property
    def text(self) -> str:
        """The spacing as people write it, ranges where cases differ."""
        sizes = []
        for low, high in zip(self.lowest, self.highest, strict=True):
            ends = dict.fromkeys((f"{low:.3g}", f"{high:.3g}"))
            sizes.append(NO_VALUE.join(ends))
        return f"{' × '.join(sizes)} {self.distance_unit}"  # noqa: RUF001 - typeset


def in_distance_unit(text: str, grid: VolumeGrid | None) -> str:
    """A report's own words with the unit that its distances have.

    Args:
        text: words of the report, which say millimeters.
        grid: where volumes were scored; ``None`` for pictures.

    Returns:
        The same words, of voxels where the spacing is lost.

    Example:
        >>> in_distance_unit("HD95 (mm)", VolumeGrid({"a": (1.0, 1.0)}, 3.0, "voxels"))
        'HD95 (voxels)'
    """
    if grid is None:
        return text
    return text.replace("(mm)", f"({grid.distance_unit})").replace(
        "in millimeters", "in millimeters" if grid.distance_unit == "mm" else "in voxels"
    )


def in_voxels(text: str, *, is_volume: bool) -> str:
    """A report's own words as they are said of volumes.

    Args:
        text: words of the report, none of a user's names.
        is_volume: whether it is volumes they are said of.

    Returns:
        The same words for pictures; of voxels and volumes otherwise.

    Example:
        >>> in_voxels("the share of pixels", is_volume=True)
        'the share of voxels'
    """
    if not is_volume:
        return text
    for word, of_volumes in _OF_VOLUMES.items():
        text = text.replace(word, of_volumes)
    return text
