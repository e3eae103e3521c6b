"""From where the slices lie to the affine of a volume, or to why they are not one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from medkd.data.dicom.patient_coordinates import LPS_TO_RAS
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

    _Array = NDArray[np.floating[Any]]

__all__ = ["order_slices"]

_SAME_DIRECTION = 1e-3  # between components of unit vectors: rounded headers pass
_SAME_PLACE = 1e-3  # mm
_TILT = math.radians(
    0.2
)  # what rounded headers can look like; gantries tilt by 0.5 degrees and more
_OFF_GRID = 0.1  # of the distance between slices


def order_slices(
    headers: Sequence[Dataset], *, where: str
) -> tuple[list[int], NDArray[np.float64]]:
    """Order the slices of a series along their normal, and prove that they make one volume.

    Args:
        headers: of the slices, each with ``Rows``, ``Columns``, ``ImagePositionPatient`` and
            ``ImageOrientationPatient``.
        where: what to call the series in a message.

    Returns:
        Positions of the slices in ``headers`` in order, and the affine of the volume ``(columns,
        rows, slices)``: voxel index to mm right, anterior and superior, ``(4, 4)``.

    Raises:
        ValueError: if a header does not say where its slice lies, there is one slice, they differ
            in size, direction or pixel spacing, two lie at one place, the gantry was tilted, a
            slice is missing, or they are spaced unevenly.
    """
    if len(headers) < 2:
        raise InvalidValueError(f"Expected {where} to be a volume, but got a lone slice.")
    places = [_read_place(header, where=where) for header in headers]
    sizes = {(int(header.Rows), int(header.Columns)) for header in headers}
    if len(sizes) > 1:
        raise InvalidValueError(
            f"Expected the slices of {where} to be of one size, but got {len(sizes)} sizes."
        )
    directions, spacings, origins = (np.stack(part) for part in zip(*places, strict=True))
    _check_same(directions, spacings, where=where)
    row, column = directions[0, :3], directions[0, 3:]
    normal = np.cross(row, column)
    order = np.argsort(origins @ normal, kind="stable")
    step = _find_step(origins[order], normal, where=where)
    affine = np.eye(4)
    affine[:3, 0] = row * spacings[0, 1]
    affine[:3, 1] = column * spacings[0, 0]
    affine[:3, 2] = step
    affine[:3, 3] = origins[order[0]]
    return order.tolist(), LPS_TO_RAS @ affine


def _read_place(header: Dataset, *, where: str) -> tuple[_Array, _Array, _Array]:
    """Directions of row and column ``(6,)``, distances of rows and columns, and the origin."""
    try:
        direction, spacing, origin = (
            np.asarray(header[name].value, dtype=np.float64).reshape(size)
            for name, size in (
                ("ImageOrientationPatient", 6),
                ("PixelSpacing", 2),
                ("ImagePositionPatient", 3),
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidValueError(
            f"Expected every slice of {where} to state its position, orientation and pixel spacing "
            "in numbers, but one does not."
        ) from error
    axes = direction.reshape(2, 3)
    is_usable = np.isfinite([*origin, *spacing, *direction]).all() and (spacing > 0).all()
    if not is_usable or np.abs(axes @ axes.T - np.eye(2)).max() > 2 * _SAME_DIRECTION:
        raise InvalidValueError(
            f"Expected every slice of {where} to have pixels with sides above zero along two "
            "directions at right angles, but one does not."
        )
    return direction, spacing, origin


def _check_same(directions: _Array, spacings: _Array, *, where: str) -> None:
    apart = np.abs(directions - directions[0]).max()
    if apart > _SAME_DIRECTION:
        # The chord between normals, as an angle.
        normals = np.cross(directions[:, :3], directions[:, 3:])
        chord = np.linalg.norm(normals - normals[0], axis=1).max()
        angle = math.degrees(2 * math.asin(min(1.0, float(chord) / 2)))
        raise InvalidValueError(
            f"Expected the slices of {where} to be parallel, but got mixed orientations, up to "
            f"{angle:.1f} degrees apart: localizers and three planes are not one volume."
        )
    if np.abs(spacings / spacings[0] - 1).max() > _SAME_DIRECTION:
        raise InvalidValueError(
            f"Expected the slices of {where} to have one pixel spacing, but got {spacings.min():g} "
            f"to {spacings.max():g} mm."
        )


def _find_step(origins: _Array, normal: _Array, *, where: str) -> _Array:
    """From a slice to the next, ``(3,)`` mm, if all are the same way apart."""
    depths = origins @ normal
    gaps = np.diff(depths)
    if gaps.min() < _SAME_PLACE:
        count = int((gaps < _SAME_PLACE).sum())
        raise InvalidValueError(
            f"Expected one slice at each position of {where}, but {count} lie where another does: "
            "several phases, echoes or reconstructions in one series."
        )
    _check_tilt(origins, normal, where=where)
    regular = np.linspace(depths[0], depths[-1], len(depths))
    if np.abs(depths - regular).max() > _OFF_GRID * gaps.min():
        _refuse_gaps(gaps, where=where)
    mean: _Array = (origins[-1] - origins[0]) / (len(origins) - 1)
    return mean


def _check_tilt(origins: _Array, normal: _Array, *, where: str) -> None:
    line = origins[-1] - origins[0]
    across = np.linalg.norm(line - (line @ normal) * normal)
    angle = math.atan2(float(across), float(line @ normal))
    if angle > _TILT:
        raise InvalidValueError(
            f"Expected the slices of {where} to be stacked at right angles, but each is shifted "
            f"against the next: the gantry was tilted by {math.degrees(angle):.1f} degrees."
        )


def _refuse_gaps(gaps: _Array, *, where: str) -> None:
    # Of those near the smallest: where many slices are missing, most gaps are too large.
    usual = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
    steps = gaps / usual
    if np.abs(steps - np.round(steps)).max() <= _OFF_GRID:
        missing = int(np.round(steps).sum()) - len(gaps)
        after = int(np.argmax(np.round(steps) > 1)) + 1
        raise InvalidValueError(
            f"Expected the slices of {where} to follow one another every {usual:.4g} mm, but "
            f"{missing} slice(s) are missing, the first after slice {after} of {len(gaps) + 1}."
        )
    raise InvalidValueError(
        f"Expected the slices of {where} to be evenly spaced, but got distances from "
        f"{gaps.min():.4g} to {gaps.max():.4g} mm."
    )
