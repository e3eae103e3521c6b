"""Argument checks of the numeric core, with one form of sentence.

Every message reads *Expected `name` to be/of ..., but got ...*: both sides shown, shapes as tuples.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from medkd.errors import InvalidTypeError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from medkd.types import Label, Mask, MemberProbs, Probs, VoxelMap

__all__ = [
    "check_at_least",
    "check_batch",
    "check_distillation_weight",
    "check_embeddings",
    "check_label",
    "check_mask",
    "check_members",
    "check_positive",
    "check_same_shape",
    "check_uncertainty",
    "check_weights",
]

_MAX_SPATIAL_AXES = 3
_CLASSES = {1: "one channel", 2: "two classes"}


def check_batch(tensor: Tensor, name: str, *, fewest: int = 2) -> None:
    """Raise unless ``tensor`` is floating point, ``(B, C, *spatial)``, with classes enough."""
    _check_floating(tensor, name)
    if not 3 <= tensor.ndim <= 2 + _MAX_SPATIAL_AXES or tensor.shape[1] < fewest:
        raise InvalidValueError(
            f"Expected `{name}` of shape (B, C, *spatial) with one to three spatial axes and at "
            f"least {_CLASSES[fewest]}, but got shape {tuple(tensor.shape)}."
        )


def check_members(tensor: MemberProbs, name: str, *, fewest: int = 2) -> None:
    """Raise unless ``tensor`` is floating point and ``(M, B, C, *spatial)`` with a member."""
    _check_floating(tensor, name)
    axes = 4 <= tensor.ndim <= 3 + _MAX_SPATIAL_AXES
    if not axes or tensor.shape[0] < 1 or tensor.shape[2] < fewest:
        raise InvalidValueError(
            f"Expected `{name}` of shape (M, B, C, *spatial) with at least one member, one to "
            f"three spatial axes and at least {_CLASSES[fewest]}, but got shape "
            f"{tuple(tensor.shape)}."
        )


def check_label(label: Label, like: Probs) -> None:
    """Raise unless ``label`` is ``(B, 1, *spatial)`` for the ``(B, C, *spatial)`` of ``like``."""
    _check_voxel_map(label, like, "label")


def check_mask(mask: Mask | None, like: Tensor) -> None:
    """Raise unless ``mask`` is ``None`` or bool ``(B, 1, *spatial)`` for the axes of ``like``."""
    if mask is None:
        return
    _check_tensor(mask, "mask")
    if mask.dtype != torch.bool:
        raise InvalidTypeError(f"Expected `mask` of dtype torch.bool, but got {mask.dtype}.")
    _check_voxel_map(mask, like, "mask")


def check_uncertainty(tensor: VoxelMap) -> None:
    """Raise unless ``tensor`` is floating point and ``(B, 1, *spatial)``."""
    _check_floating(tensor, "uncertainty")
    if not 3 <= tensor.ndim <= 2 + _MAX_SPATIAL_AXES or tensor.shape[1] != 1:
        raise InvalidValueError(
            "Expected `uncertainty` of shape (B, 1, *spatial) with one to three spatial axes, "
            f"but got shape {tuple(tensor.shape)}."
        )


def check_same_shape(tensor: Tensor, like: Tensor, name: str, like_name: str) -> None:
    """Raise unless both tensors have one shape."""
    if tensor.shape != like.shape:
        raise InvalidValueError(
            f"Expected `{name}` of the shape of `{like_name}`, {tuple(like.shape)}, "
            f"but got shape {tuple(tensor.shape)}."
        )


def check_embeddings(tensor: Tensor, other: Tensor, name: str, other_name: str) -> None:
    """Raise unless both are floating point and ``(number, D)`` with the same ``D``."""
    _check_floating(tensor, name)
    _check_floating(other, other_name)
    if tensor.ndim != 2 or other.ndim != 2 or tensor.shape[1] != other.shape[1]:
        raise InvalidValueError(
            f"Expected `{name}` and `{other_name}` of shapes (number, D) with one D, but got "
            f"shapes {tuple(tensor.shape)} and {tuple(other.shape)}."
        )


def check_positive(value: float, name: str) -> None:
    """Raise unless ``value`` is a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTypeError(f"Expected `{name}` to be a number, but got {type(value).__name__}.")
    if not (math.isfinite(value) and value > 0):
        raise InvalidValueError(f"Expected `{name}` to be finite and above zero, but got {value}.")


def check_at_least(value: int, minimum: int, name: str) -> None:
    """Raise unless ``value`` is an ``int`` of ``minimum`` or more."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(f"Expected `{name}` to be an int, but got {type(value).__name__}.")
    if value < minimum:
        raise InvalidValueError(f"Expected `{name}` to be at least {minimum}, but got {value}.")


def check_weights(weights: Mapping[str, float], name: str) -> None:
    """Raise unless every weight is finite and zero or more."""
    for key, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise InvalidValueError(
                f"Expected `{name}` to be finite and zero or more, but got {weight} for {key!r}."
            )


def check_distillation_weight(weight: float, distillation_loss: object) -> None:
    """Raise unless ``weight`` is in ``[0, 1]``, and there is a loss if it is above zero."""
    if not 0.0 <= weight <= 1.0:
        raise InvalidValueError(
            "Expected `distillation_weight` to be between 0 (labels only) and 1 (soft labels "
            f"only), but got {weight}."
        )
    if weight > 0 and distillation_loss is None:
        raise InvalidValueError(
            "Expected `distillation_loss` when `distillation_weight` is above zero, but got None "
            f"with a weight of {weight}."
        )


def _check_tensor(tensor: object, name: str) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise InvalidTypeError(
            f"Expected `{name}` to be a torch.Tensor, but got {type(tensor).__name__}."
        )


def _check_floating(tensor: Tensor, name: str) -> None:
    _check_tensor(tensor, name)
    if not tensor.is_floating_point():
        raise InvalidTypeError(
            f"Expected `{name}` of a floating-point dtype, but got {tensor.dtype}."
        )


def _check_voxel_map(tensor: Tensor, like: Tensor, name: str) -> None:
    _check_tensor(tensor, name)
    expected = (like.shape[0], 1, *like.shape[2:])
    if tuple(tensor.shape) != expected:
        raise InvalidValueError(
            f"Expected `{name}` of shape (B, 1, *spatial) = {expected}, "
            f"but got shape {tuple(tensor.shape)}."
        )
