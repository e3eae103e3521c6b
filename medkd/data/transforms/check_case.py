"""The last look at a case before it is trained on or measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from monai.data import MetaTensor
from monai.transforms import MapTransform

from medkd.data.images.grid_difference import GRID_TOLERANCE, describe_difference, same_grid
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

__all__ = ["CheckCased"]

_VOLUME_NDIM = 4  # (C, X, Y, Z)


class CheckCased(MapTransform):
    """Refuse a case whose parts do not belong together or say nothing; pass others untouched.

    Checked in this order: the image has no NaN or infinity and is not all one value, the mask is
    not empty, every part has the image's spatial size, every part of a volume that has an affine
    lies where the image does, the image is not all one value inside the mask. Each refusal names
    the files.

    Two grids count as one while no voxel moves by more than a tenth of the smallest voxel side,
    which rounded headers stay far below. Affines are compared where both parts are
    :class:`~monai.data.MetaTensor`, and never for pictures, whose files state none.

    Args:
        keys: the parts that must have one size; those a case does not have are left out.
        image_key: which of them is the image ``(C, *spatial)``.
        mask_key: which of them is the boolean mask ``(1, *spatial)``.

    Raises:
        ValueError: if ``image_key`` is not among ``keys``; when called, for a case as above.

    Example:
        >>> case = {"image": torch.rand(3, 4, 5), "label": torch.zeros(1, 4, 6)}
        >>> CheckCased(keys=["image", "label"])(case)
        Traceback (most recent call last):
        ...
        medkd.errors.InvalidValueError: Expected `label` to be of the size of `image`, (4, 5), ...
    """

    def __init__(
        self,
        keys: Sequence[Hashable] = ("image", "label", "mask"),
        image_key: Hashable = "image",
        mask_key: Hashable = "mask",
    ) -> None:
        super().__init__(keys, allow_missing_keys=True)
        if image_key not in self.keys:
            raise InvalidValueError(
                f"Expected `image_key` to be among {list(self.keys)}, but got {image_key!r}."
            )
        self.image_key = image_key
        self.mask_key = mask_key

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Check one case.

        Args:
            data: the case.

        Returns:
            The case with the very same tensors.
        """
        case = dict(data)
        image, name = torch.as_tensor(case[self.image_key]), _name(case, self.image_key)
        _check_values(image, name=name)
        mask = case.get(self.mask_key) if self.mask_key in self.keys else None
        if mask is not None and not bool(mask.any()):
            raise InvalidValueError(
                f"Expected {_name(case, self.mask_key)} to have pixels that count, but got an "
                "empty mask."
            )
        self._check_sizes(case)
        if mask is not None:
            _refuse_constant(image[:, torch.as_tensor(mask)[0]], where=f"{name} inside its mask")
        return case

    def _check_sizes(self, case: Mapping[Hashable, Any]) -> None:
        size = tuple(case[self.image_key].shape[1:])
        for key in self.key_iterator(case):
            other = tuple(case[key].shape[1:])
            if other != size:
                raise InvalidValueError(
                    f"Expected {_name(case, key)} to be of the size of "
                    f"{_name(case, self.image_key)}, {size}, but got {other}."
                )
            self._check_grid(case, key, size)

    def _check_grid(
        self, case: Mapping[Hashable, Any], key: Hashable, size: tuple[int, ...]
    ) -> None:
        image, part = case[self.image_key], case[key]
        if not all(isinstance(x, MetaTensor) and x.ndim == _VOLUME_NDIM for x in (image, part)):
            return
        affine, other = image.affine, part.affine
        if not same_grid(affine, other, shape=size):
            raise InvalidValueError(
                f"Expected {_name(case, key)} to lie on the grid of {_name(case, self.image_key)} "
                f"within {GRID_TOLERANCE:g} of a voxel, but got "
                f"{describe_difference(affine, other, shape=size)} between them."
            )


def _check_values(image: torch.Tensor, *, name: str) -> None:
    bad = int((~torch.isfinite(image)).sum())
    if bad:
        raise InvalidValueError(
            f"Expected {name} to have finite values, but got {bad} NaN or infinite."
        )
    _refuse_constant(image, where=name)


def _refuse_constant(values: torch.Tensor, *, where: str) -> None:
    value = float(values.max())
    if value == float(values.min()):
        raise InvalidValueError(
            f"Expected {where} to show something, but got {value:g} everywhere."
        )


def _name(case: Mapping[Hashable, Any], key: Hashable) -> str:
    """The file that a part came from, or its key for a part made in memory."""
    file = getattr(case[key], "meta", {}).get("filename_or_obj")
    return f"the {key} {file}" if file else f"`{key}`"
