"""What can be tapped inside a network, found without computing it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from medkd.networks.feature_taps import check_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["feature_channels", "feature_shapes"]

Shape = tuple[int, ...]


def feature_shapes(network: nn.Module, image: Tensor) -> dict[str, Shape]:
    """Every module whose output can be tapped, with the output's shape.

    The network runs on the device ``meta``, which follows shapes and computes nothing; one that
    cannot is run for real. Transformers hand on channels last and lists of tokens: what has another
    number of axes than the image, or a second axis that grows with the image, is no feature map.

    Args:
        network: any network; it is left in the mode and with the statistics that it has.
        image: ``(B, C_in, *spatial)``, of which the shape counts.

    Returns:
        Path to shape ``(B, C, *spatial)`` in the order in which they run, of the modules that ran
        exactly once and gave a feature map.

    Raises:
        ValueError: if the network does not take an image of this shape, with what it says of it.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten())
        >>> feature_shapes(network, torch.zeros(1, 1, 8, 6))
        {'0': (1, 4, 8, 6)}
    """
    try:
        shapes = _shapes(network, image)
    except (ValueError, RuntimeError) as error:  # of a patch that its strides do not divide
        raise ValueError(
            f"Expected `image` (in a bundle `patch_size`) to be what a {type(network).__name__} "
            f"takes, but got shape {tuple(image.shape)}: {error}"
        ) from error
    batch, channels, first, *rest = image.shape
    try:
        larger = _shapes(network, image.new_zeros(batch, channels, 2 * first, *rest))
    except (ValueError, RuntimeError):  # one that takes images of one size only
        larger = shapes
    return {
        path: shape
        for path, shape in shapes.items()
        if len(shape) == image.dim() and shape[:2] == larger.get(path, shape)[:2]
    }


def feature_channels(
    network: nn.Module, features: Mapping[str, str], image_shape: Sequence[int]
) -> dict[str, int]:
    """How many channels each tapped feature has, see :func:`feature_shapes`.

    Args:
        network: any network; it is left in the mode and with the statistics that it has.
        features: name to the path of a module.
        image_shape: ``(B, C_in, *spatial)``.

    Returns:
        Name to number of channels.

    Raises:
        ValueError: if a path does not exist or is none of a feature map, or the network does not
            take such an image.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1))
        >>> feature_channels(network, {"encoder": "0"}, (1, 1, 8, 8))
        {'encoder': 4}
    """
    check_paths(network, features)
    weight = next(network.parameters())
    shapes = feature_shapes(network, torch.zeros(tuple(image_shape), device=weight.device))
    missing = [path for path in features.values() if path not in shapes]
    if missing:
        raise ValueError(
            f"Expected {missing[0]!r} to give one feature map a run, (B, C, *spatial), but it "
            f"does not; there are {', '.join(shapes)}."
        )
    return {name: shapes[path][1] for name, path in features.items()}


def _shapes(network: nn.Module, image: Tensor) -> dict[str, Shape]:
    """Path to shape of what ran once and gave one tensor of floating point."""
    caught: dict[str, list[Shape | None]] = {}

    def catcher(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def catch(_module: nn.Module, _arguments: Any, output: Any) -> None:  # noqa: ANN401
            is_map = isinstance(output, Tensor) and output.is_floating_point()
            caught.setdefault(path, []).append(tuple(output.shape) if is_map else None)

        return catch

    hooks = [
        module.register_forward_hook(catcher(path))
        for path, module in network.named_modules()
        if path
    ]
    was_training = {module: module.training for module in network.modules()}
    try:
        _run(network.eval(), image, caught)
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in was_training.items():
            module.training = training
    return {path: shapes[0] for path, shapes in caught.items() if len(shapes) == 1 and shapes[0]}


@torch.no_grad()
def _run(network: nn.Module, image: Tensor, caught: dict[str, list[Shape | None]]) -> None:
    weights = itertools.chain(network.named_parameters(), network.named_buffers())
    try:
        without_values = {name: weight.to("meta") for name, weight in weights}
        # Tied, a module of two paths would not get its weights back (torch 2.13).
        functional_call(network, without_values, (image.to("meta"),), tie_weights=False)
    except Exception:
        caught.clear()
        network(image)
