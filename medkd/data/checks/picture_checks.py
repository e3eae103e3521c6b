"""What only pictures have: how they are read for a check, and what looks wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from monai.data import MetaTensor

from medkd.data.images.image_file_reader import SUFFIXES, ImageFileReader, open_picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import torch

    from medkd.data.manifests.manifest import Case, Manifest

__all__ = ["PictureChecks"]

_EXIF_ORIENTATION = 0x0112


class PictureChecks:
    """Reads the pictures of a data set and doubts them one by one.

    Args:
        manifest: what the folder should hold.
        folder: the folder that the manifest's paths are relative to.

    Raises:
        ValueError: if the manifest has neither one nor three channels.
    """

    suffixes = SUFFIXES

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        self.folder = folder
        self.read_image = ImageFileReader(num_channels=manifest.num_channels)
        self.read_plane = ImageFileReader(num_channels=1)

    def read(self, key: str, paths: Sequence[Path]) -> MetaTensor:
        """Read one part of a case.

        Args:
            key: ``"image"``, or another part, which is read as gray.
            paths: its file.

        Returns:
            ``(C, *spatial)``.

        Raises:
            OSError: if it may not be read.
            ValueError: if it cannot be read.
        """
        reader = self.read_image if key == "image" else self.read_plane
        array, _ = reader.get_data(tuple(paths))
        planes = array[np.newaxis] if array.ndim == 2 else np.moveaxis(array, -1, 0)
        if key == "image":
            planes = planes.astype(np.float32)  # as a bundle loads it
        return MetaTensor(np.ascontiguousarray(planes), meta={"filename_or_obj": str(paths[0])})

    def doubts(self, case: Case, image: torch.Tensor | None) -> Iterator[str]:
        """What is worth a look.

        Args:
            case: the case.
            image: its image; None if that could not be read.

        Yields:
            One sentence each.
        """
        if image is None:
            return
        gray = all(bool((image[0] == channel).all()) for channel in image[1:])
        if len(image) > 1 and gray and bool((image != image.max()).any()):
            yield f"The image is gray, but the manifest names {len(image)} channels."
        if _orientation(self.folder / case.paths("image")[0]) != 1:
            yield (
                "The image has an EXIF orientation, which is applied: its label must be drawn on "
                "the picture as it is displayed."
            )


def _orientation(path: Path) -> int:
    if path.suffix.lower() not in {".jpg", ".jpeg", ".tif", ".tiff", ".png"}:
        return 1
    with open_picture(path) as picture:
        return int(picture.getexif().get(_EXIF_ORIENTATION, 1))
