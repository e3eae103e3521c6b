"""What the channels of images most likely are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from medkd.data.images.image_file_reader import stored_channels
from medkd.data.images.volume_file_reader import VolumeFileReader
from medkd.data.images.volume_formats import VOLUME_SUFFIXES, is_itk_volume
from medkd.data.images.volume_header import read_volume_header
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["name_modality", "propose_channels", "stored_dims"]

_COLORS = {1: ("gray",), 3: ("red", "green", "blue")}
_AIR = -500  # HU: air is -1000, and no other modality goes this low
_LOOKED_AT = 3  # images, because one may be cropped to where there is no air
_MR = re.compile(r"mri?\b|t1|t2|flair|adc|dwi|pd\b|cine|lge|swi", re.IGNORECASE)


def stored_dims(path: Path) -> int:
    """Whether a file holds a picture or a volume.

    Args:
        path: an image file.

    Returns:
        3 for NIfTI of more than one plane, NRRD and MetaImage, else 2.
    """
    if not path.name.lower().endswith(VOLUME_SUFFIXES):
        return 2
    if is_itk_volume(path):  # no reader of pictures takes them
        return 3
    header = read_volume_header(path)
    return 3 if header is None or len(header.shape) < 3 or header.shape[2] > 1 else 2


def propose_channels(
    folder: Path, images: Sequence[Sequence[str]], *, spatial_dims: int, stated: Sequence[str]
) -> tuple[str, ...]:
    """Name the channels of a data set.

    Args:
        folder: the folder.
        images: files of each image, relative to it, one or one a channel.
        spatial_dims: 2 for pictures, whose channels are colors; 3 for volumes.
        stated: names that a person or a ``dataset.json`` gave; may be empty.

    Returns:
        The names. A volume of one channel without a name is ``"CT"`` where it holds air in
        Hounsfield units, else ``"image"``.

    Raises:
        OSError: if a picture may not be read.
        ValueError: if there are not as many channels as names, or a file of four axes has no names
            that say they are channels.
    """
    first = images[0]
    if spatial_dims == 2:
        return _COLORS[stored_channels(folder / first[0])]
    header = read_volume_header(folder / first[0]) if len(first) == 1 else None
    stored = header.shape[3] if header is not None and len(header.shape) > 3 else len(first)
    if stated and len(stated) != stored:
        raise InvalidValueError(
            f"Expected {len(stated)} channel(s), {', '.join(stated)}, but got {stored} in "
            f"{', '.join(first)}."
        )
    if stored > 1 and len(first) == 1 and not stated:
        raise InvalidValueError(
            f"Expected {first[0]} to be one volume, but got {stored} in its fourth axis: if they "
            "are channels, state their names; if they are times, save each as a file of its own."
        )
    if stated:
        return tuple(stated)
    if stored > 1:
        return tuple(f"channel {index}" for index in range(stored))
    return (
        ("CT",)
        if any(_holds_air(folder / image[0]) for image in images[:_LOOKED_AT])
        else ("image",)
    )


def name_modality(channel_names: Sequence[str]) -> str:
    """The modality that channel names say.

    Args:
        channel_names: names of the channels.

    Returns:
        ``"CT"`` or ``"MR"`` if all of them say so, else an empty text.

    Example:
        >>> name_modality(["CT"]), name_modality(["FLAIR", "T1w"]), name_modality(["image"])
        ('CT', 'MR', '')
    """
    if all(name.strip().lower() == "ct" for name in channel_names):
        return "CT"
    return "MR" if all(_MR.search(name) for name in channel_names) else ""


def _holds_air(path: Path) -> bool:
    try:
        volume, _ = VolumeFileReader().get_data((path,))
    except (OSError, ValueError):  # what is wrong with a file, the check of the folder says
        return False
    return bool(volume.min() <= _AIR)
