"""Features from inside any network, beside its output."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from medkd.errors import FailureError, InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FeatureTaps", "check_paths"]

_FEATURE_AXES = (3, 5)  # of (B, C, *spatial) with one to three spatial axes


class _AllCaught(Exception):
    """Every tapped module has run: no error, but the end of a run that has served its purpose."""

    def __init__(self, catch: _Catch) -> None:
        super().__init__()
        self.catch = catch  # taps may lie within taps


@dataclass
class _Catch:
    """What one run has caught so far."""

    num_wanted: int
    outputs: dict[str, Any] = field(default_factory=dict)
    is_open: bool = False  # the network may run without its taps, in validation
    stops_when_full: bool = False

    def take(self, name: str, output: Any) -> None:  # noqa: ANN401 - whatever a module gives
        if not self.is_open:
            return
        # A copy: an activation in place, or `+=`, may overwrite what the module gave.
        copied = output.clone() if isinstance(output, Tensor) else output
        self.outputs[name] = None if name in self.outputs else copied
        if self.stops_when_full and len(self.outputs) == self.num_wanted:
            raise _AllCaught(self)

    def close(self) -> None:
        self.is_open = self.stops_when_full = False
        self.outputs.clear()


@dataclass(eq=False)
class _Tap:
    """The hook of one module: an object, as a function would catch for the original of a copy."""

    name: str
    catch: _Catch

    def __call__(self, _module: nn.Module, _arguments: Any, output: Any) -> None:  # noqa: ANN401
        self.catch.take(self.name, output)


class FeatureTaps(nn.Module):
    """A network that gives, beside its output, what modules within it compute.

    The network is not edited. A forward hook sits on each tapped module until :meth:`remove`; what
    it catches is handed out with the output and not kept, so no graph outlives its step. The
    features are outputs of :meth:`forward`, so ``DistributedDataParallel`` and ``torch.compile`` of
    this module see them. A copy, or one that was saved and loaded, catches for itself. One run at a
    time: threads that share the network, as ``DataParallel`` has them, are refused.

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
        RuntimeError: when called after :meth:`remove`, or within a run of its own.

    Example:
        >>> import torch
        >>> network = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1))
        >>> tapped = FeatureTaps(network, {"encoder": "0"})
        >>> logits, features = tapped(torch.zeros(1, 1, 8, 6))
        >>> tuple(logits.shape), {name: tuple(f.shape) for name, f in features.items()}
        ((1, 2, 8, 6), {'encoder': (1, 4, 8, 6)})
    """

    def __init__(self, network: nn.Module, features: Mapping[str, str]) -> None:
        super().__init__()
        check_paths(network, features)
        self.network = network
        self.features = dict(features)
        self._catch = _Catch(len(self.features))
        self._handles = [
            network.get_submodule(path).register_forward_hook(_Tap(name, self._catch))
            for name, path in self.features.items()
        ]

    def forward(self, image: Tensor) -> tuple[Any, dict[str, Tensor]]:
        """The network's output and the features by name."""
        self._open()
        try:
            output = self.network(image)
            return output, {name: self._taken(name) for name in self.features}
        finally:
            self._catch.close()

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
        self._open()
        self._catch.stops_when_full = True
        try:
            self._run_until_caught(image)
            return {name: self._taken(name) for name in self.features}
        finally:
            self._catch.close()

    def remove(self) -> None:
        """Take the hooks off the network, which is then as it was; nothing can be tapped after."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def extra_repr(self) -> str:
        """What is tapped, for printing."""
        return f"features={self.features}"

    def _open(self) -> None:
        if len(self._handles) < len(self.features):
            raise FailureError("Expected taps that are on their network, but they were removed.")
        if self._catch.is_open:
            raise FailureError("Expected one run of a tapped network at a time, but one goes on.")
        self._catch.is_open = True

    def _run_until_caught(self, image: Tensor) -> None:
        try:
            self.network(image)
        except _AllCaught as stop:
            if stop.catch is not self._catch:
                raise

    def _taken(self, name: str) -> Tensor:
        where = f"`{self.features[name]}`, tapped as {name!r},"
        if name not in self._catch.outputs:
            raise InvalidValueError(f"Expected {where} to run once, but it did not run.")
        feature = self._catch.outputs[name]
        if feature is None:
            raise InvalidValueError(
                f"Expected {where} to run once, but it ran more often: tap a module that is not "
                "used twice."
            )
        if not _is_feature_map(feature):
            raise InvalidValueError(
                f"Expected {where} to give a feature map (B, C, *spatial), but got "
                f"{_describe(feature)}."
            )
        return feature


def check_paths(network: nn.Module, features: Mapping[str, str]) -> None:
    """Refuse a path at which a network has no module.

    Args:
        network: any network.
        features: name to the path of a module.

    Raises:
        ValueError: with the paths that there are, those near the root first.
    """
    # What a user taps lies near the root; their inner modules would bury it.
    paths = sorted((p for p, _ in network.named_modules() if p), key=lambda each: each.count("."))
    for name, path in features.items():
        if path in paths:
            continue
        close = difflib.get_close_matches(path, paths, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InvalidValueError(
            f"Expected the feature {name!r} to be the path of a module of this "
            f"{type(network).__name__}, but there is no {path!r}.{hint} There are "
            f"{', '.join(paths)}. `medkd networks features` prints them with shapes."
        )


def _is_feature_map(output: object) -> bool:
    low, high = _FEATURE_AXES
    return isinstance(output, Tensor) and output.is_floating_point() and low <= output.dim() <= high


def _describe(output: object) -> str:
    if isinstance(output, Tensor):
        return f"{output.dtype} of shape {tuple(output.shape)}"
    return type(output).__name__
