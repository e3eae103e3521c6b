"""What there is to predict at a path: volumes, pictures, or a DICOM series."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkd.data import images_in
from medkd.data.dicom import is_dicom
from medkd.errors import InvalidValueError, MissingFileError

__all__ = ["PredictionInput", "find_inputs"]

_SERIES_NAME = "series"


@dataclass(frozen=True)
class PredictionInput:
    """One image to predict.

    Attributes:
        case_id: what its results are called. Of DICOM it is the word ``series``, for a folder or
            archive may be named after its patient.
        image: its file, or its files, one a channel; for DICOM the folder, archive or file.
        is_dicom: whether it is a series of DICOM.
        series: number of the series, counted from 1; ``None`` to take the only one.
    """

    case_id: str
    image: str | list[str]
    is_dicom: bool = False
    series: int | None = None


def find_inputs(
    path: str | Path, *, spatial_dims: int, num_channels: int, series: int | None = None
) -> list[PredictionInput]:
    """Find what there is to predict.

    A folder that holds images itself is a folder of these; only then is it looked through for
    DICOM, at any depth. So predictions may be written below it.

    Args:
        path: a file or a folder of volumes or, in 2D, of pictures; or a DICOM folder or zip
            archive.
        spatial_dims: 2 or 3, of the network.
        num_channels: of the network; see :func:`medkd.data.images_in` for several.
        series: number of the DICOM series, counted from 1.

    Returns:
        One input an image, by name; of DICOM the one series.

    Raises:
        FileNotFoundError: if there is nothing at the path, or no image.
        ValueError: if DICOM is given where the network takes pictures or several channels, or
            ``series`` where there is no DICOM; or two images have one name.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise MissingFileError(f"Expected an image or a folder at {path}, but there is nothing.")
    folder, pattern = (path, "*") if path.is_dir() else (path.parent, glob.escape(path.name))
    kind: dict[str, Any] = {"spatial_dims": spatial_dims, "num_channels": num_channels}
    try:
        items = images_in(folder, pattern, **kind)
    except FileNotFoundError:
        if not is_dicom(path):
            raise
        return [_make_series(path, series, **kind)]
    if series is not None:
        raise InvalidValueError(
            f"Expected DICOM with `series` {series}, but got the images of {path}."
        )
    return [PredictionInput(item["case_id"], item["image"]) for item in items]


def _make_series(
    path: Path, series: int | None, *, spatial_dims: int, num_channels: int
) -> PredictionInput:
    if spatial_dims != 3 or num_channels != 1:
        takes = "pictures" if spatial_dims != 3 else f"volumes of {num_channels} channels"
        raise InvalidValueError(
            f"Expected images for a network that takes {takes}, but got the DICOM of {path}, a "
            "volume of one channel."
        )
    case_id = _SERIES_NAME if series is None else f"{_SERIES_NAME}_{series}"
    return PredictionInput(case_id, str(path), is_dicom=True, series=series)
