"""The way back: maps of a network's grid on the grid of the file they were predicted from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform

from medkd.data.transforms.grid_resampling import resample_map
from medkd.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

__all__ = ["RestoreGeometryd"]

# What MONAI's SaveImaged names a map after, and compares with where it lies.
_OF_FILE = ("filename_or_obj", "original_affine", "spatial_shape")


class RestoreGeometryd(MapTransform):
    """Bring maps ``(1, X, Y, Z)`` back to the grid on which the image was stored.

    What ``Orientationd``, ``Spacingd``, flips, crops and pads did to the image is undone for its
    maps in one step, from where the image lies now (its affine) and lay when it was read
    (``original_affine`` and ``spatial_shape`` of its metadata). MONAI's ``Invertd`` takes the
    transforms back one by one, and usually those of ``C`` channels of probabilities; here only what
    is kept of them makes the way: seconds and a slab of memory for 512 x 512 x 600.

    Maps of whole numbers are labels and take the nearest voxel, others are interpolated linearly;
    see :func:`~medkd.data.resample_map`. Labels of a network's grid that is coarser than the file's
    have its steps: structures thinner than its voxels are lost, and edges are off by up to half of
    one. A finer ``spacing`` mends that, at the price of time.

    Args:
        keys: the maps.
        image_key: the image that the network saw, a ``MetaTensor`` that was read from a file.
        allow_missing_keys: leave out maps that were not asked for.

    Raises:
        TypeError: when called, if the image does not know where it lies.
        ValueError: when called, if a map is not ``(1, X, Y, Z)`` of the image's size.

    Example:
        >>> affine = np.diag([2.0, 1.0, 1.0, 1.0])
        >>> meta = {"original_affine": np.eye(4), "spatial_shape": (3, 1, 1)}
        >>> image = MetaTensor(torch.zeros(1, 2, 1, 1), affine=affine, meta=meta)
        >>> case = {"image": image, "segmentation": torch.tensor([5, 6]).view(1, 2, 1, 1)}
        >>> RestoreGeometryd("segmentation")(case)["segmentation"].flatten().tolist()
        [5, 6, 6]
    """

    def __init__(
        self,
        keys: Hashable | Sequence[Hashable],
        image_key: Hashable = "image",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Restore the maps of one case.

        Args:
            data: the case; it is not modified.

        Returns:
            A copy in which each map is a ``MetaTensor`` ``(1, X, Y, Z)`` on the file's grid.
        """
        case = dict(data)
        image = case[self.image_key]
        meta = getattr(image, "meta", {})
        if "original_affine" not in meta or "spatial_shape" not in meta:
            raise InvalidTypeError(
                f"Expected `{self.image_key}` to be a MetaTensor with `original_affine` and "
                f"`spatial_shape`, but got a {type(image).__name__} without."
            )
        affine = np.asarray(meta["original_affine"], dtype=np.float64)
        source = {name: meta[name] for name in _OF_FILE if name in meta}
        for key in self.key_iterator(case):
            expected = (1, *image.shape[1:])
            if tuple(case[key].shape) != expected:
                raise InvalidValueError(
                    f"Expected `{key}` of the size of `{self.image_key}`, {expected}, "
                    f"but got {tuple(case[key].shape)}."
                )
            restored = resample_map(
                case[key][0],
                affine=np.asarray(image.affine, dtype=np.float64),
                target_affine=affine,
                target_shape=[int(size) for size in meta["spatial_shape"]],
            )
            case[key] = MetaTensor(
                restored.unsqueeze(0), affine=torch.as_tensor(affine), meta=dict(source)
            )
        return case
