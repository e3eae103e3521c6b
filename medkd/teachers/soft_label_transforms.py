"""The soft label as one more key of a case: read late, moved with the image, decoded last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from monai.data.meta_tensor import MetaTensor
from monai.transforms.transform import MapTransform
from monai.utils.type_conversion import convert_to_tensor

from medkd.errors import InvalidValueError
from medkd.functional import decode_probs
from medkd.teachers.soft_label_file import read_codes

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

__all__ = ["DecodeSoftLabeld", "LoadSoftLabeld"]


class LoadSoftLabeld(MapTransform):
    """Read a soft label's codes, ``(C - 1, *spatial)`` of ``uint8``, on the image's grid.

    Codes are cached and cropped at a byte per pixel and class; :class:`DecodeSoftLabeld` makes
    probabilities of the crop. Between the two only transforms that move voxels without mixing them
    are exact: crops, flips, rotations by 90 degrees. Decode before one that interpolates.

    Args:
        keys: keys that hold the path of a file of
            :class:`~medkd.teachers.soft_label_store.SoftLabelStore`.
        image_key: the image whose grid the label must have.
        allow_missing_keys: pass over cases without a soft label.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, or label and image differ in size.
    """

    def __init__(
        self,
        keys: str | list[str],
        image_key: str = "image",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.image_key = image_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the paths by tensors."""
        item = dict(data)
        for key in self.key_iterator(item):
            path, image = item[key], item[self.image_key]
            codes = read_codes(path)
            if codes.shape[1:] != image.shape[1:]:
                raise InvalidValueError(
                    f"Expected the soft label {path} to have the size of its image, "
                    f"{tuple(image.shape[1:])}, but got {tuple(codes.shape[1:])}."
                )
            item[key] = MetaTensor(codes, affine=getattr(image, "affine", None))
        return item


class DecodeSoftLabeld(MapTransform):
    """Codes ``(C - 1, *spatial)`` of ``uint8`` to probabilities ``(C, *spatial)`` in float32.

    Args:
        keys: keys that hold codes.
        allow_missing_keys: pass over cases without a soft label.
    """

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Replace the codes by probabilities."""
        item = dict(data)
        for key in self.key_iterator(item):
            plain = convert_to_tensor(item[key], track_meta=False)
            item[key] = decode_probs(plain.unsqueeze(0)).squeeze(0)
        return item
