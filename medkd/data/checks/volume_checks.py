"""What only volumes have: how they are read for a check, and what looks wrong with them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from monai.data import MetaTensor

from medkd.data.images.grid_difference import describe_difference, same_grid
from medkd.data.images.volume_file_reader import VolumeFileReader
from medkd.data.images.volume_formats import VOLUME_SUFFIXES
from medkd.data.images.volume_header import read_volume_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch

    from medkd.data.images.volume_header import VolumeHeader
    from medkd.data.manifests.manifest import Case, Manifest

__all__ = ["VolumeChecks"]

_SPACING_FACTOR = 2.0  # from the median on; slices of 5 mm among those of 3 mm are everyday
_UNITS_READ_RIGHTLY = ("mm", "unknown")


class VolumeChecks:
    """Reads the volumes of a data set and doubts them, each against the others.

    The headers of all images are read at once, because what is usual in a data set, only all of it
    says; voxels are read case by case.

    Args:
        manifest: what the folder should hold.
        folder: the folder that the manifest's paths are relative to.
    """

    suffixes = VOLUME_SUFFIXES

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.folder = folder
        self.read_image = VolumeFileReader(num_channels=manifest.num_channels)
        self.read_label = VolumeFileReader(num_channels=1)
        self.headers = {
            case.case_id: header
            for case in manifest.cases
            if (header := read_volume_header(folder / case.paths("image")[0])) is not None
        }
        orientations = Counter(header.orientation for header in self.headers.values())
        self.orientation, self.num_usual = (orientations.most_common(1) or [("", 0)])[0]
        spacings = [header.spacing for header in self.headers.values()]
        self.spacing = tuple(np.median(spacings, axis=0).tolist()) if spacings else ()

    def read(self, key: str, paths: Sequence[Path]) -> MetaTensor:
        """Read one part of a case.

        Args:
            key: ``"image"``, or another part, which has one channel.
            paths: its files.

        Returns:
            ``(C, X, Y, Z)`` with its affine.

        Raises:
            OSError: if a file may not be read.
            ValueError: if it cannot be read.
        """
        reader = self.read_image if key == "image" else self.read_label
        array, header = reader.get_data(tuple(paths))
        volume = array[np.newaxis] if array.ndim == 3 else np.moveaxis(array, -1, 0)
        if key == "image":
            volume = volume.astype(np.float32, copy=False)  # as a bundle loads it
        meta = {"filename_or_obj": str(paths[0])}
        return MetaTensor(volume, affine=header["affine"], meta=meta)

    def doubts(self, case: Case, image: torch.Tensor | None) -> Iterator[str]:
        """What is worth a look.

        Args:
            case: the case.
            image: not needed, the headers say it.

        Yields:
            One sentence each.
        """
        del image
        if case.case_id in self.headers:
            yield from self._unusual(self.headers[case.case_id])
        for key in case.files:
            for relative in case.paths(key):
                header = read_volume_header(self.folder / relative)
                if header is not None:
                    yield from _doubtful_header(header, name=f"The {key} {relative}", key=key)

    def _unusual(self, header: VolumeHeader) -> Iterator[str]:
        if header.orientation != self.orientation:
            yield (
                f"The image is stored as {header.orientation}, most of this data set "
                f"({self.num_usual} of {len(self.headers)}) as {self.orientation}: a bundle turns "
                "it, other programs may not."
            )
        factors = [max(a / b, b / a) for a, b in zip(header.spacing, self.spacing, strict=True)]
        if max(factors) > _SPACING_FACTOR:
            yield (
                f"The image has voxels of {_sides(header.spacing)} mm (along the axes of RAS), "
                f"but the median of this data set is {_sides(self.spacing)} mm."
            )


def _doubtful_header(header: VolumeHeader, *, name: str, key: str) -> Iterator[str]:
    if header.version == 2:
        yield f"{name} is NIfTI-2, which is read here, but not by every other program."
    if header.unit not in _UNITS_READ_RIGHTLY:
        yield f"{name} states its voxel sides in {header.unit}, but they are read as mm."
    if not header.is_placed:
        why = "no space is stated" if header.version is None else "sform and qform codes are 0"
        yield (f"{name} does not say which way it lies ({why}): {header.orientation} is a guess.")
    if key != "image" and (header.slope, header.intercept) != (1.0, 0.0):
        yield (
            f"{name} is stored scaled (times {header.slope:g} plus {header.intercept:g}), which "
            "turns class ids into other numbers where a program rounds differently."
        )
    yield from _doubtful_position(header, name=name)


def _doubtful_position(header: VolumeHeader, *, name: str) -> Iterator[str]:
    if header.sform is None or header.qform is None:
        return
    shape = header.shape[:3]
    if len(shape) == 3 and not same_grid(header.sform, header.qform, shape=shape):
        apart = describe_difference(header.sform, header.qform, shape=shape)
        yield (
            f"{name} states two positions {apart} apart: its sform is read, other programs may "
            "read its qform."
        )


def _sides(spacing: Sequence[float]) -> str:
    return " x ".join(f"{side:.3g}" for side in spacing)
