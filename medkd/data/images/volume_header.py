"""What the header of a volume's file says, read without its voxels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import nibabel
import numpy as np
from nibabel.affines import voxel_sizes

from medkd.data.images.itk_volume import read_itk_header
from medkd.data.images.text_header import read_text_header
from medkd.data.images.volume_formats import is_itk_volume

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["VolumeHeader", "read_volume_header"]

_PLACING = ("space", "transformmatrix", "rotation", "orientation")
_SCANNER_SPACES = ("scanner-xyz", "3d-")  # of NRRD, which do not say where right and left are
_MILLIMETERS = ("mm", "millimeter", "millimeters")


@dataclass(frozen=True)
class VolumeHeader:
    """What matters of a header.

    Args:
        version: 1 or 2, of NIfTI; None of another format.
        shape: voxels along each axis in file order, ``(X, Y, Z)`` or more; the channels last.
        affine: voxel index to mm, ``(4, 4)``, as it is read.
        is_placed: whether the file says which way it lies.
        sform: the affine of the sform; None if its code is 0, or in another format.
        qform: the affine of the qform; None if its code is 0, or in another format.
        slope: what stored values are multiplied by; 1 if nothing is said.
        intercept: what is added; 0 if nothing is said.
        unit: unit of the voxel sides, ``"unknown"`` if nothing is said.
    """

    version: int | None
    shape: tuple[int, ...]
    affine: NDArray[np.float64]
    is_placed: bool
    sform: NDArray[np.float64] | None
    qform: NDArray[np.float64] | None
    slope: float
    intercept: float
    unit: str

    @property
    def orientation(self) -> str:
        """Where the axes point, ``"RAS"`` for right, anterior, superior."""
        return "".join(code or "?" for code in nibabel.aff2axcodes(self.affine))

    @property
    def spacing(self) -> tuple[float, ...]:
        """Voxel sides in mm, along the axes of the body: left-right, back-front, foot-head."""
        sides = voxel_sizes(self.affine)
        axes = nibabel.io_orientation(self.affine)[:, 0]
        order = np.argsort(axes) if np.isfinite(axes).all() else np.arange(3)
        return tuple(float(side) for side in sides[order])


def read_volume_header(path: Path) -> VolumeHeader | None:
    """Read a header.

    Args:
        path: a file of a volume.

    Returns:
        Its header; None if there is none to read, of which the reader of the voxels says why.
    """
    return _read_itk(path) if is_itk_volume(path) else _read_nifti(path)


def _read_nifti(path: Path) -> VolumeHeader | None:
    try:
        image = nibabel.load(path)
        header = image.header
        sform, has_sform = header.get_sform(coded=True)
        qform, has_qform = header.get_qform(coded=True)
        unit = header.get_xyzt_units()[0]
    except Exception:  # decoders raise zlib.error, EOFError, ImageFileError and more
        return None
    return VolumeHeader(
        version=2 if isinstance(header, nibabel.Nifti2Header) else 1,
        shape=tuple(int(size) for size in header.get_data_shape()),
        affine=np.asarray(header.get_best_affine(), dtype=np.float64),
        is_placed=bool(has_sform or has_qform),
        sform=sform if has_sform else None,
        qform=qform if has_qform else None,
        # The header of a loaded image no longer says how its values are scaled.
        slope=float(image.dataobj.slope),
        intercept=float(image.dataobj.inter),
        unit=str(unit),
    )


def _read_itk(path: Path) -> VolumeHeader | None:
    try:
        header, fields = read_itk_header(path), read_text_header(path).fields
    except (OSError, ValueError):
        return None
    channels = (header.num_components,) if header.num_components > 1 else ()
    placing = next((fields[key] for key in _PLACING if key in fields), "")
    unit = (fields.get("spaceunits") or fields.get("distanceunits") or "").split(" ")[0].strip('"?')
    return VolumeHeader(
        version=None,
        shape=(*header.size, *channels),
        affine=header.affine,
        is_placed=bool(placing) and not placing.lower().startswith(_SCANNER_SPACES),
        sform=None,
        qform=None,
        slope=1.0,
        intercept=0.0,
        unit="mm" if unit in _MILLIMETERS else unit or "unknown",
    )
