"""One case as the evaluation needs it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from monai.data import MetaTensor
from monai.utils.type_conversion import convert_to_tensor
from nibabel.affines import voxel_sizes
from nibabel.orientations import aff2axcodes

from medkd.functional import label_band, surface_band

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import torch

__all__ = ["BAND_RADIUS", "BAND_RADIUS_MM", "PreparedCase", "prepare_case"]

BAND_RADIUS = 3
"""Half the width of the band round the label's edge in a picture, in pixels."""

BAND_RADIUS_MM = 3.0
"""Half the width of the band round the label's surface in a volume, in millimeters."""

_VOLUME_DIMS = 3


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One prepared case: tensors with a batch axis of one, on the device.

    Attributes:
        case_id: the case.
        image: ``(1, C_in, *spatial)``.
        label: class indices, ``(1, 1, *spatial)``, int64.
        mask: bool ``(1, 1, *spatial)``, the voxels that count; ``None`` if all do.
        second_label: of a second observer, like ``label``; ``None`` where there is none.
        spacing: of a volume, millimeters from voxel to voxel along each axis; ``None`` for a
            picture, and for a volume whose transforms leave no geometry.
        axcodes: of a volume, the side each axis points to, such as ``("R", "A", "S")``; likewise.
    """

    case_id: str
    image: torch.Tensor
    label: torch.Tensor
    mask: torch.Tensor | None
    second_label: torch.Tensor | None = None
    spacing: tuple[float, ...] | None = None
    axcodes: tuple[str, ...] | None = None

    @cached_property
    def band(self) -> torch.Tensor:
        """Voxels near the label's edge, bool like ``label``, computed once for all predictors.

        It is :data:`BAND_RADIUS_MM` wide to either side where the spacing is known, and
        :data:`BAND_RADIUS` where it is not.
        """
        if self.spacing is None:
            return label_band(self.label, radius=BAND_RADIUS)
        return surface_band(self.label, radius=BAND_RADIUS_MM, spacing=self.spacing)


def prepare_case(
    item: Mapping[str, Any], transform: Callable[..., Any], device: str | torch.device
) -> PreparedCase:
    """Read one case.

    Args:
        item: ``case_id`` and files.
        transform: the deterministic transforms, giving ``image``, ``label`` and, where the case
            has them, ``mask`` and ``label_2nd``.
        device: where the tensors go.

    Returns:
        The case.
    """
    data = transform(dict(item))
    # Plain tensors, for MetaTensor's bookkeeping would be timed with the networks.
    tensors = {
        key: convert_to_tensor(data[key], track_meta=False, device=device).unsqueeze(0)
        for key in ("image", "label", "mask", "label_2nd")
        if not isinstance(data.get(key, ""), str)
    }
    affine = _affine(data)
    return PreparedCase(
        case_id=item["case_id"],
        image=tensors["image"],
        label=tensors["label"].long(),
        mask=tensors["mask"].bool() if "mask" in tensors else None,
        second_label=tensors["label_2nd"].long() if "label_2nd" in tensors else None,
        spacing=None if affine is None else tuple(map(float, voxel_sizes(affine))),
        axcodes=None if affine is None else aff2axcodes(affine),
    )


def _affine(data: Mapping[str, Any]) -> np.ndarray | None:
    """Of the grid that the label lies on after all transforms, which is that of the scores."""
    for key in ("label", "image"):
        tensor = data[key]
        if isinstance(tensor, MetaTensor) and tensor.ndim == 1 + _VOLUME_DIMS:
            return tensor.affine.cpu().numpy()
    return None
