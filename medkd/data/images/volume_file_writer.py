"""Writing a volume as NIfTI-1 whose bytes follow from the voxels alone."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np

from medkd.files import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["write_volume"]

_COMPRESSION = 6


def write_volume(
    path: str | Path,
    voxels: NDArray[Any],
    affine: NDArray[np.float64],
    *,
    unit: str = "mm",
    code: str = "scanner",
) -> None:
    """Write a volume as compressed NIfTI-1 with the same affine as sform and qform.

    The header holds neither a date nor a name, so that equal volumes are equal files.

    Args:
        path: the file, ``.nii.gz``.
        voxels: ``(X, Y, Z)``, of a type that NIfTI knows.
        affine: ``(4, 4)``, from voxel indices to millimeters right, anterior and superior; its axes
            are at right angles.
        unit: of the affine, ``"unknown"`` where it was lost.
        code: where the affine leads, ``"aligned"`` if not to the scanner.

    Raises:
        OSError: if the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = tempfile.mkdtemp() + "/volume.nii.gz"
        >>> write_volume(path, np.ones((2, 3, 4), np.uint8), np.diag([1.0, 2.0, 3.0, 1.0]))
        >>> nibabel.load(path).header.get_zooms() == (1.0, 2.0, 3.0)
        True
    """
    image = nibabel.Nifti1Image(np.ascontiguousarray(voxels), affine)
    image.header.set_xyzt_units(unit)
    image.set_sform(affine, code=code)
    image.set_qform(affine, code=code)
    with atomic_write(path) as file:
        file.write(gzip.compress(image.to_bytes(), compresslevel=_COMPRESSION, mtime=0))
