"""Features from inside any network, beside its output."""

from __future__ import annotations

import contextlib
import difflib
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["FeatureTaps", "feature_channels", "feature_shapes"]

_SHOWN = 12  # paths named in a message before it says how many more there are
_FEATURE_AXES = (3, 5)  # of (B, C, *spatial) with one to three spatial axes


class _AllCaught(Exception):
    """Every tapped module has run: no error, but the end of a run that has served its purpose."""


class FeatureTaps(nn.Module):
    """A network that gives, beside its output, what modules within it compute.

    The network is not edited. A forward hook sits on each tapped module; what it catches is handed
    out with the output and not kept, so no graph outlives its step. The features are outputs of
    :meth:`forward`, so ``DistributedDataParallel`` and ``torch.compile`` of this module see them.

    Args:
        network: any network; it is shared, not copied, so training this trains that.
        features: name to the path of a module, as
            :meth:`torch.nn.Module.named_modules` has it: ``{"bottleneck": "down_4"}``.

    Shape:
        - image: ``(B, C_in, *spatial)``
        - returns: the network's output, and name to feature map ``(B, C_name, *spatial_name)``, in
          the dtype that the module computes in (half precision under autocast)

    Raises:
        ValueError: if a path does not exist, with those that do; when called, if a module's output
            is no feature map, or the module ran twice or not at all.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1))
        >>> tapped = FeatureTaps(network, {"encoder": "0"})
        >>> logits, features = tapped(torch.zeros(1, 1, 8, 6))
        >>> tuple(logits.shape), {name: tuple(f.shape) for name, f in features.items()}
        ((1, 2, 8, 6), {'encoder': (1, 4, 8, 6)})
    """

    def __init__(self, network: nn.Module, features: Mapping[str, str]) -> None:
        super().__init__()
        self.network = network
        self.features = dict(features)
        self._caught: dict[str, Any] = {}
        self._is_catching = False  # the network may run without this module, in validation
        self._stops_when_caught = False
        for name, module in _modules_at(network, self.features).items():
            module.register_forward_hook(self._catcher(name))

    def forward(self, image: Tensor) -> tuple[Any, dict[str, Tensor]]:
        """The network's output and the features by name."""
        self._is_catching = True
        try:
            output = self.network(image)
            return output, {name: self._taken(name) for name in self.features}
        finally:
            self._is_catching = False
            self._caught.clear()

    def features_of(self, image: Tensor) -> dict[str, Tensor]:
        """The features alone, by name; the network runs no further than the last of them.

        What lies behind is spared, such as the decoder of a teacher whose bottleneck is wanted;
        whether a module would have run once more is not seen then.

        Args:
            image: ``(B, C_in, *spatial)``.

        Returns:
            Name to feature map.

        Raises:
            ValueError: if a module did not run, or its output is no feature map.
        """
        self._is_catching = self._stops_when_caught = True
        try:
            with contextlib.suppress(_AllCaught):
                self.network(image)
            return {name: self._taken(name) for name in self.features}
        finally:
            self._is_catching = self._stops_when_caught = False
            self._caught.clear()

    def extra_repr(self) -> str:
        """What is tapped, for printing."""
        return f"features={self.features}"

    def _catcher(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def catch(_module: nn.Module, _arguments: Any, output: Any) -> None:  # noqa: ANN401
            if self._is_catching:
                # A copy: an activation in place, or `+=`, may overwrite what the module gave.
                copied = output.clone() if isinstance(output, Tensor) else output
                self._caught[name] = None if name in self._caught else copied
                if self._stops_when_caught and len(self._caught) == len(self.features):
                    raise _AllCaught

        return catch

    def _taken(self, name: str) -> Tensor:
        where = f"`{self.features[name]}`, tapped as {name!r},"
        if name not in self._caught:
            raise ValueError(f"Expected {where} to run once, but it did not run.")
        feature = self._caught[name]
        if feature is None:
            raise ValueError(
                f"Expected {where} to run once, but it ran more often: tap a module that is not "
                "used twice."
            )
        if not _is_feature_map(feature):
            raise ValueError(
                f"Expected {where} to give a feature map (B, C, *spatial), but got "
                f"{_describe(feature)}."
            )
        return feature


@torch.no_grad()
def feature_shapes(network: nn.Module, image: Tensor) -> dict[str, tuple[int, ...]]:
    """Every module whose output can be tapped, with the output's shape.

    Args:
        network: any network; it is left in the mode and with the statistics that it has.
        image: ``(B, C_in, *spatial)``, what it is run on.

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
    caught: dict[str, list[Any]] = {}

    def catcher(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def catch(_module: nn.Module, _arguments: Any, output: Any) -> None:  # noqa: ANN401
            shape = tuple(output.shape) if _is_feature_map(output) else None
            caught.setdefault(path, []).append(shape)

        return catch

    hooks = [
        module.register_forward_hook(catcher(path))
        for path, module in network.named_modules()
        if path
    ]
    was_training = {module: module.training for module in network.modules()}
    try:
        with torch.no_grad():
            network.eval()(image)
    except (ValueError, RuntimeError) as error:  # of a patch that its strides do not divide
        raise ValueError(
            f"Expected `image` (in a bundle `patch_size`) to be what a {type(network).__name__} "
            f"takes, but got shape {tuple(image.shape)}: {error}"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in was_training.items():
            module.training = training
    return {path: shapes[0] for path, shapes in caught.items() if len(shapes) == 1 and shapes[0]}


def feature_channels(
    network: nn.Module, features: Mapping[str, str], image_shape: Sequence[int]
) -> dict[str, int]:
    """How many channels each tapped feature has, found by running the network once on zeros.

    Args:
        network: any network; it is left in the mode and with the statistics that it has.
        features: name to the path of a module.
        image_shape: ``(B, C_in, *spatial)``.

    Returns:
        Name to number of channels.

    Raises:
        ValueError: as :class:`FeatureTaps`.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1))
        >>> feature_channels(network, {"encoder": "0"}, (1, 1, 8, 8))
        {'encoder': 4}
    """
    _modules_at(network, features)
    weight = next(network.parameters())
    shapes = feature_shapes(network, torch.zeros(tuple(image_shape), device=weight.device))
    missing = [path for path in features.values() if path not in shapes]
    if missing:
        raise ValueError(
            f"Expected {missing[0]!r} to give one feature map a run, but it does not; there are "
            f"{', '.join(shapes)}."
        )
    return {name: shapes[path][1] for name, path in features.items()}


def _modules_at(network: nn.Module, features: Mapping[str, str]) -> dict[str, nn.Module]:
    """Name to the module at its path."""
    modules = {path: module for path, module in network.named_modules() if path}
    for name, path in features.items():
        if path not in modules:
            raise ValueError(_unknown_path(name, path, list(modules)))
    return {name: modules[path] for name, path in features.items()}


def _is_feature_map(output: object) -> bool:
    low, high = _FEATURE_AXES
    return isinstance(output, Tensor) and output.is_floating_point() and low <= output.dim() <= high


def _describe(output: object) -> str:
    if isinstance(output, Tensor):
        return f"{output.dtype} of shape {tuple(output.shape)}"
    return type(output).__name__


def _unknown_path(name: str, path: str, paths: list[str]) -> str:
    close = difflib.get_close_matches(path, paths, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    # What a user taps lies near the root; their inner modules would bury it.
    paths = sorted(paths, key=lambda each: each.count("."))
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return (
        f"Expected the feature {name!r} to be the path of a module, but there is no {path!r}."
        f"{hint} There are {', '.join(paths[:_SHOWN])}{more}; `medkd networks features` lists all."
    )
