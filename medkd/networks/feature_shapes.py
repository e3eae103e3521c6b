"""What can be tapped inside a network, found without computing it."""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from medkd.errors import InvalidValueError
from medkd.networks.feature_taps import check_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["feature_channels", "feature_shapes"]

_Shapes = dict[str, tuple[int, ...]]


def feature_shapes(network: nn.Module, image: Tensor) -> dict[str, tuple[int, ...]]:
    """Every module whose output can be tapped, with the output's shape.

    A copy of the network without values runs, on the device ``meta``, which follows shapes and
    computes nothing; a network that cannot be run so is run itself. Transformers hand on channels
    last and lists of tokens: what has another number of axes than the image, or a second axis that
    grows with the image, is no feature map.

    Args:
        network: any network; it is left in the mode that it has.
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
        without_values, on_meta = _without_values(network), image.to("meta")
        shapes = larger = _shapes(without_values, on_meta)
    except Exception:
        shapes = larger = _shapes_of_real_run(network, image)
    else:
        batch, channels, first, *rest = image.shape
        # A network may take images of one size only, and say so in whatever way it likes.
        with contextlib.suppress(Exception):
            larger = _shapes(without_values, on_meta.new_empty(batch, channels, 2 * first, *rest))
    return {
        path: shape
        for path, shape in shapes.items()
        if len(shape) == image.dim()
        and shape[0] == image.shape[0]
        and shape[:2] == larger.get(path, shape)[:2]
    }


def feature_channels(
    network: nn.Module, features: Mapping[str, str], image_shape: Sequence[int]
) -> dict[str, int]:
    """How many channels each tapped feature has, see :func:`feature_shapes`.

    Args:
        network: any network; it is left in the mode that it has.
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
        raise InvalidValueError(
            f"Expected {missing[0]!r} to give one feature map a run, (B, C, *spatial), but it "
            f"does not; there are {', '.join(shapes) or 'none'}."
        )
    return {name: shapes[path][1] for name, path in features.items()}


def _without_values(network: nn.Module) -> nn.Module:
    """A copy whose weights take no memory."""
    memo: dict[int, Any] = {
        id(weight): nn.Parameter(weight.detach().to("meta"), requires_grad=False)
        for weight in network.parameters()
    }
    memo |= {id(buffer): buffer.detach().to("meta") for buffer in network.buffers()}
    return copy.deepcopy(network, memo).eval()


def _shapes_of_real_run(network: nn.Module, image: Tensor) -> _Shapes:
    was_training = {module: module.training for module in network.modules()}
    try:
        return _shapes(network.eval(), image)
    except Exception as error:  # such as of a patch that its strides do not divide
        raise InvalidValueError(
            f"Expected `image` (in a bundle `patch_size`) to be what a {type(network).__name__} "
            f"takes, but got shape {tuple(image.shape)}: {error}"
        ) from error
    finally:
        for module, training in was_training.items():
            module.training = training


@torch.no_grad()
def _shapes(network: nn.Module, image: Tensor) -> _Shapes:
    """Path to shape of what ran once and gave one tensor of floating point."""
    caught: dict[str, list[tuple[int, ...] | None]] = {}

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
    try:
        network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return {path: shapes[0] for path, shapes in caught.items() if len(shapes) == 1 and shapes[0]}
