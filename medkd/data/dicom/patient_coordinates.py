"""Between DICOM's coordinates of the patient and voxels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["LPS_TO_RAS", "to_index"]

# DICOM counts millimeters to the left, the back and the head, NIfTI to the right and the front.
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def to_index(points: NDArray[np.float64], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where points of DICOM's coordinates lie in a volume.

    Args:
        points: mm left, posterior and superior, ``(P, 3)``.
        affine: voxel index to mm right, anterior and superior, ``(4, 4)``.

    Returns:
        Voxel indices with fractions, ``(P, 3)``.

    Example:
        >>> to_index(np.array([[-2.0, -3.0, 4.0]]), np.eye(4)).tolist()
        [[2.0, 3.0, 4.0]]
    """
    inverse = np.linalg.inv(LPS_TO_RAS @ affine)
    index: NDArray[np.float64] = points @ inverse[:3, :3].T + inverse[:3, 3]
    return index
