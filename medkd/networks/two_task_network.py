"""A segmentation network that learns to give back its image, too."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from medkd.errors import InvalidValueError
from medkd.networks.feature_shapes import feature_shapes
from medkd.networks.feature_taps import FeatureTaps
from medkd.networks.reconstruction_decoder import ReconstructionDecoder

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["TwoTaskNetwork"]


class TwoTaskNetwork(nn.Module):
    """One encoder, two decoders: the network's own for segmentation, another for reconstruction.

    The network is any; it is not edited. Its encoder's features are tapped, and a second decoder
    makes the image of them, so the encoder must keep what the image shows beyond the classes. In
    evaluation mode the network alone answers: what is validated, teaches and is shipped is the
    network.

    Args:
        network: the segmentation network; it is shared, not copied.
        encoder: paths of the modules of its encoder that the second decoder is fed by, as
            :class:`~medkd.networks.FeatureTaps` has them, in any order; the map of fewest voxels is
            the deepest. A feature of full resolution lets the decoder copy the image.
        image_shape: ``(B, C_in, *spatial)`` of a patch, by which the features' sizes are found.

    Shape:
        - image: ``(B, C_in, *spatial)``
        - returns in training mode: the network's output, and ``{"reconstruction": loss}``, the mean
          squared error of the image given back, zero or more, in squared units of the image
        - returns in evaluation mode: the network's output

    Raises:
        ValueError: if there is no path, or one that does not exist or gives no feature map.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, 2, padding=1), nn.Upsample(scale_factor=2))
        >>> two_tasks = TwoTaskNetwork(network, ["0"], (1, 1, 8, 8))
        >>> output, terms = two_tasks(torch.zeros(2, 1, 8, 8))
        >>> tuple(output.shape), list(terms)
        ((2, 4, 8, 8), ['reconstruction'])

    References:
        R. Biswas. Multi-task multi-scale contrastive knowledge distillation for efficient medical
        image segmentation. arXiv:2406.03173, 2024, where the reconstruction's weight is 0.2.
    """

    def __init__(
        self, network: nn.Module, encoder: Sequence[str], image_shape: Sequence[int]
    ) -> None:
        super().__init__()
        self.taps = FeatureTaps(network, {path: path for path in encoder})
        weight = next(network.parameters())
        shapes = feature_shapes(network, torch.zeros(tuple(image_shape), device=weight.device))
        missing = [path for path in encoder if path not in shapes]
        if missing or not encoder:
            raise InvalidValueError(
                "Expected `encoder` to be paths of modules that give one feature map a run, but "
                f"got {missing[0] if missing else 'none'!r}; there are {', '.join(shapes)}."
            )
        self.encoder = sorted(encoder, key=lambda path: math.prod(shapes[path][2:]))
        self.decoder = ReconstructionDecoder(
            [shapes[path][1] for path in self.encoder],
            num_channels=image_shape[1],
            spatial_dims=len(image_shape) - 2,
        ).to(weight.device)

    def forward(self, image: Tensor) -> Any:  # noqa: ANN401 - whatever the network gives
        """The network's output; in training mode with the loss of the second task by its name."""
        if not self.training:
            return self.taps.network(image)
        output, features = self.taps(image)
        given_back = self.decoder(
            [features[path] for path in self.encoder], size=tuple(image.shape[2:])
        )
        # Autocast gives half precision, in which squares of small errors vanish.
        return output, {"reconstruction": mse_loss(given_back.float(), image.float())}
