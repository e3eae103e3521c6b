"""Which pixels of a photograph show the patient at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform
from scipy import ndimage

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from monai.config import KeysCollection
    from numpy.typing import NDArray

__all__ = ["ExtendFieldOfViewd", "FieldOfViewd", "estimate_field_of_view"]

_BRIGHT_PERCENTILE = 95
_DARK_FRACTION = 0.15


def estimate_field_of_view(image: torch.Tensor) -> torch.Tensor:
    """Field of view of a fundus photograph, estimated from its brightness.

    The camera's aperture leaves a black surround. A pixel belongs to the field of view if its
    brightest channel exceeds 15 % of the image's 95th percentile of that channel maximum; of these
    pixels the largest connected part is kept and its holes are filled. On the 20 photographs of
    children 01-10 of CHASE_DB1 the mean Dice with the published masks is 0.998, the least 0.989.
    An image without a dark surround is in view everywhere, but for dark corners.

    Args:
        image: photograph ``(C, *spatial)`` with a background near zero and values of any scale. It
            is not modified.

    Returns:
        Boolean ``(1, *spatial)``. It is empty if the image is black.

    Example:
        >>> image = torch.zeros(3, 6, 5)
        >>> image[0, 1:5, 1:4] = 200.0
        >>> image[0, 2, 2] = 0.0  # a dark spot inside is a hole, and filled
        >>> int(estimate_field_of_view(image).sum())
        12
    """
    brightness = torch.as_tensor(image).amax(dim=0).cpu().numpy()
    bright = brightness > _DARK_FRACTION * np.percentile(brightness, _BRIGHT_PERCENTILE)
    return torch.from_numpy(ndimage.binary_fill_holes(_largest_part(bright)))[None]


class FieldOfViewd(MapTransform):
    """Make the mask of a case boolean, estimating it where the case has none.

    A mask that was loaded from a file is true where it exceeds half of its own maximum, so files
    that say 1 and files that say 255 both work. A case without the key gets the estimate of
    :func:`estimate_field_of_view`, or true everywhere.

    Args:
        keys: the mask ``(1, *spatial)``, which may be absent.
        image_key: image ``(C, *spatial)`` that an absent mask is made from.
        estimate: False to count every pixel of a case without a mask file, which is right for
            images that have no black surround.

    Raises:
        ValueError: when called, if a mask has several channels.

    Example:
        >>> mask = FieldOfViewd(estimate=False)({"image": torch.zeros(3, 4, 2)})["mask"]
        >>> tuple(mask.shape), mask.dtype, bool(mask.all())
        ((1, 4, 2), torch.bool, True)
    """

    def __init__(
        self, keys: Hashable = "mask", image_key: Hashable = "image", estimate: bool = True
    ) -> None:
        super().__init__(keys, allow_missing_keys=True)
        self.image_key = image_key
        self.estimate = estimate

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Give one case its boolean mask.

        Args:
            data: the case; it is not modified.

        Returns:
            A copy with a boolean mask ``(1, *spatial)``.
        """
        case = dict(data)
        for key in self.keys:
            case[key] = _threshold(case[key]) if key in case else self._make(case[self.image_key])
        return case

    def _make(self, image: torch.Tensor) -> torch.Tensor:
        if self.estimate:
            mask = estimate_field_of_view(image).to(image.device)
        else:
            mask = torch.ones((1, *image.shape[1:]), dtype=torch.bool, device=image.device)
        return MetaTensor(mask, meta=dict(image.meta)) if isinstance(image, MetaTensor) else mask


class ExtendFieldOfViewd(MapTransform):
    """Continue an image a little beyond its field of view, so that the rim is not an edge.

    Vignetting makes a photograph darker than its mean where the aperture cuts it, and a thin dark
    line before a flat surround looks like a vessel. Each pixel within ``margin`` of the field of
    view takes the value of the nearest pixel in view; a label given the same way stays true of
    what the image shows. Soares et al., "Retinal vessel segmentation using the 2-D Gabor wavelet
    and supervised classification" (IEEE Trans. Med. Imaging, 2006), section III-A, extend the
    border for the same reason. Nothing outside the field of view is ever scored.

    Args:
        keys: images and labels ``(C, *spatial)``; those absent are passed over.
        mask_key: boolean mask ``(1, *spatial)``.
        margin: how far, in pixels (Euclidean).

    Raises:
        ValueError: if ``margin`` is negative.

    Example:
        >>> case = {"image": torch.tensor([[0.0, 5.0, 7.0, 0.0, 0.0]])}
        >>> case["mask"] = case["image"] > 0
        >>> ExtendFieldOfViewd("image", margin=1)(case)["image"].tolist()
        [[5.0, 5.0, 7.0, 7.0, 0.0]]
    """

    def __init__(self, keys: KeysCollection, mask_key: Hashable = "mask", margin: int = 16) -> None:
        super().__init__(keys, allow_missing_keys=True)
        check_at_least(margin, 0, "margin")
        self.mask_key = mask_key
        self.margin = margin

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Extend one case.

        Args:
            data: the case; it is not modified.

        Returns:
            A copy with the images and labels extended.
        """
        case = dict(data)
        mask = torch.as_tensor(case[self.mask_key])[0].bool()
        if mask.all() or not mask.any():
            return case
        distance, nearest = ndimage.distance_transform_edt(~mask.cpu().numpy(), return_indices=True)
        near = torch.from_numpy((distance > 0) & (distance <= self.margin)).to(mask.device)
        source = tuple(torch.from_numpy(i).to(mask.device)[near].long() for i in nearest)
        for key in self.key_iterator(case):
            case[key] = case[key].clone()
            case[key][:, near] = case[key][(slice(None), *source)]
        return case


def _threshold(mask: torch.Tensor) -> torch.Tensor:
    if mask.shape[0] != 1:
        raise InvalidValueError(
            f"Expected the mask to be of shape (1, *spatial), but got shape {tuple(mask.shape)}."
        )
    if mask.dtype == torch.bool:
        return mask
    return mask > mask.max() / 2


def _largest_part(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(bright)
    if count == 0:
        return bright
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return parts == sizes.argmax()
