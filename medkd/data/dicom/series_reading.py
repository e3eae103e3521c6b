"""From a folder or archive of DICOM files to one volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from medkd.data.dicom.dicom_files import find_dicom_files
from medkd.data.dicom.dicom_series import DicomSeries
from medkd.data.dicom.header_reading import quiet_pydicom
from medkd.data.dicom.series_listing import group_series
from medkd.data.dicom.slice_decoding import decode_slice
from medkd.data.dicom.slice_geometry import order_slices
from medkd.errors import InvalidValueError
from medkd.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from medkd.data.dicom.series_listing import SeriesListing

__all__ = ["read_listed_series", "read_series"]


def read_series(path: str | Path, series: int | None = None) -> DicomSeries:
    """Read a series of slices as one volume, or refuse it in one sentence.

    Where there are several series, the only one that can be a volume is taken, so that localizers
    of one slice and screen-saves need no thought; if more can, they are listed by number, with
    nothing that names a patient. Messages name the path that was given, and count files below it.

    Args:
        path: a folder, searched at any depth, or a zip archive of one.
        series: number of the series, counted from 1 as :func:`~medkd.data.dicom.list_series` does.

    Returns:
        The volume.

    Raises:
        OSError: if the path cannot be read.
        ValueError: if there are several series to choose from; if the series is a lone slice, a
            mosaic, a multi-frame file, a screen-save, of mixed orientations or sizes, unevenly
            spaced, without one of its slices, taken with a tilted gantry, or cannot be decoded; if
            files are Git LFS pointers; or if an archive would leave its folder or is out of
            proportion.
    """
    with find_dicom_files(path) as files:
        listing = _choose(group_series(files), series, where=Path(path))
        return read_listed_series(listing, where=str(path))


def read_listed_series(listing: SeriesListing, *, where: str) -> DicomSeries:
    """Read a series whose files are known.

    Args:
        listing: the series.
        where: what to call it in a message.

    Returns:
        The volume.

    Raises:
        ValueError: see :func:`read_series`.
    """
    if listing.obstacle:
        raise InvalidValueError(f"Expected {where} to be a volume, but got {listing.obstacle}.")
    order, affine = order_slices([file.header for file in listing.files], where=where)
    # Slices one after the other in memory, each filled at once.
    image = np.empty((listing.columns, listing.rows, len(order)), dtype=np.float32, order="F")
    headers = []
    with quiet_pydicom():
        for place, position in enumerate(_progress(order)):
            what = f"slice {place + 1} of {len(order)} of {where}"
            values, header = decode_slice(listing.files[position].path, where=what)
            image[:, :, place] = values.T
            headers.append(header)
    return DicomSeries(image, affine, listing.modality, tuple(headers))


def _progress(order: list[int]) -> Iterable[int]:
    return progress(order, desc="reading slices", unit="slice", leave=False)


def _choose(found: Sequence[SeriesListing], number: int | None, *, where: Path) -> SeriesListing:
    if not found:
        raise InvalidValueError(f"Expected {where} to hold a series of images, but got none.")
    if number is not None:
        chosen = [listing for listing in found if listing.number == number]
    else:
        chosen = [listing for listing in found if not listing.obstacle] if found[1:] else [*found]
    if len(chosen) == 1:
        return chosen[0]
    listed = "; ".join(f"{listing.number}: {listing.description_safe}" for listing in found)
    raise InvalidValueError(
        f"Expected `series` to be the number of one of the {len(found)} series of {where}, but got "
        f"{number}: {listed}."
    )
