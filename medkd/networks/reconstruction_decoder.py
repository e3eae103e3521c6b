"""A decoder that gives back an image from an encoder's features."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from medkd._checks import check_at_least
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ReconstructionDecoder"]

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_NORMS = {1: nn.InstanceNorm1d, 2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_SLOPE = 0.01  # of the rectifier below zero, as in MONAI's DynUNet


class ReconstructionDecoder(nn.Module):
    """From the deepest feature back to the image, past the others on the way.

    At each level the map is brought to the size of the next feature by the nearest voxel, joined
    with it and convolved; the last one is brought to the image's size and convolved to its
    channels. So it fits an encoder of any strides: features need not lie a factor of two apart.

    Args:
        channels: of each feature, the deepest first, at least one.
        num_channels: of the image.
        spatial_dims: 1, 2 or 3.

    Shape:
        - features: ``(B, C_k, *spatial_k)`` of each level, the deepest first
        - returns: ``(B, num_channels, *size)``, any real values

    Raises:
        ValueError: if there is no feature, a number is below 1, or ``spatial_dims`` unknown; when
            called, if there are not as many features as ``channels``.

    Example:
        >>> decoder = ReconstructionDecoder([8, 4], num_channels=1, spatial_dims=2)
        >>> deep, shallow = torch.zeros(2, 8, 2, 3), torch.zeros(2, 4, 4, 6)
        >>> tuple(decoder([deep, shallow], size=(16, 24)).shape)
        (2, 1, 16, 24)
    """

    def __init__(self, channels: Sequence[int], *, num_channels: int, spatial_dims: int) -> None:
        super().__init__()
        if not channels:
            raise InvalidValueError("Expected `channels` of at least one feature, but got none.")
        for number in channels:
            check_at_least(number, 1, "channels")
        check_at_least(num_channels, 1, "num_channels")
        if spatial_dims not in _CONVOLUTIONS:
            raise InvalidValueError(
                f"Expected `spatial_dims` to be 1, 2 or 3, but got {spatial_dims}."
            )
        self.levels = nn.ModuleList(
            _level(width + skip, skip, spatial_dims) for width, skip in itertools.pairwise(channels)
        )
        # At the image's size wide maps would cost more than all the rest.
        self.last = _CONVOLUTIONS[spatial_dims](channels[-1], num_channels, 3, padding=1)

    def forward(self, features: Sequence[Tensor], *, size: Sequence[int]) -> Tensor:
        """The image; see the class."""
        if len(features) != len(self.levels) + 1:
            raise InvalidValueError(
                f"Expected `features` of {len(self.levels) + 1} levels, but got {len(features)}."
            )
        current, *skips = features
        for level, skip in zip(self.levels, skips, strict=True):
            current = interpolate(current, size=skip.shape[2:], mode="nearest")
            current = level(torch.cat([current, skip], dim=1))
        return self.last(interpolate(current, size=tuple(size), mode="nearest"))


def _level(inputs: int, outputs: int, spatial_dims: int) -> nn.Sequential:
    return nn.Sequential(
        _CONVOLUTIONS[spatial_dims](inputs, outputs, 3, padding=1, bias=False),
        _NORMS[spatial_dims](outputs, affine=True),
        nn.LeakyReLU(_SLOPE),
    )
