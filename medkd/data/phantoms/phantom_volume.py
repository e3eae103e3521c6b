"""One phantom scan in memory: voxels, label map and where they lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["PhantomVolume"]


@dataclass(frozen=True)
class PhantomVolume:
    """A phantom scan; image and label are on the same grid.

    Args:
        image: ``(X, Y, Z)``, in the units and the type of a scanner's file.
        label: ``(X, Y, Z)``, class indices.
        affine: ``(4, 4)``, from voxel indices to millimeters right, anterior and superior.
    """

    image: NDArray[Any]
    label: NDArray[np.uint8]
    affine: NDArray[np.float64]

    def reoriented(self, axcodes: str) -> PhantomVolume:
        """The same scan with its voxels stored in another order.

        Args:
            axcodes: where the array's axes point to, nearly, such as ``"LPS"``.

        Returns:
            The scan; every voxel keeps its place in the patient.
        """
        turn = ornt_transform(io_orientation(self.affine), axcodes2ornt(axcodes))
        return PhantomVolume(
            image=apply_orientation(self.image, turn),
            label=apply_orientation(self.label, turn),
            affine=self.affine @ inv_ornt_aff(turn, self.image.shape),
        )
