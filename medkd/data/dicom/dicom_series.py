"""One DICOM series as one volume."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nibabel.affines import voxel_sizes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

__all__ = ["DicomSeries"]


@dataclass(frozen=True)
class DicomSeries:
    """A volume with the headers that a result needs to refer to it.

    Args:
        image: values as the headers scale them, such as Hounsfield units: float32
            ``(X, Y, Z)`` = (columns, rows, slices), laid out so that a slice is contiguous.
        affine: voxel index to mm right, anterior and superior, as in NIfTI, ``(4, 4)`` float64.
        modality: ``"CT"``, ``"MR"`` or another of DICOM's, ``"OT"`` where it is none of them.
        headers: of every slice in the order of ``Z``, what a DICOM SEG must repeat of its header.
            They name the patient; ``repr`` does not show them, and nothing but
            :func:`medkd.data.dicom.write_segmentation` may write them.
    """

    image: NDArray[np.float32] = field(repr=False)
    affine: NDArray[np.float64] = field(repr=False)
    modality: str
    headers: tuple[Dataset, ...] = field(repr=False)

    @property
    def description_safe(self) -> str:
        """What the volume is, in numbers alone: ``"CT, 4 x 3 x 2 voxels of 1 x 1 x 5 mm"``."""
        size = " x ".join(str(length) for length in self.image.shape)
        sides = " x ".join(f"{side:.4g}" for side in voxel_sizes(self.affine))
        return f"{self.modality}, {size} voxels of {sides} mm"
