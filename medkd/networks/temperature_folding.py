"""A calibration temperature inside a network: in its weights where that is exact, or behind it."""

from __future__ import annotations

import copy
import logging
from typing import TYPE_CHECKING

import torch
from torch import nn

from medkd._checks import check_positive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

__all__ = ["TemperedNetwork", "at_temperature", "fold_temperature"]

_log = logging.getLogger(__name__)

_TOLERANCE = 1e-5  # of the largest logit
_Linear = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)
_Convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


class TemperedNetwork(nn.Module):
    """A network whose logits are divided by a temperature.

    Args:
        network: gives a tensor of logits.
        temperature: finite and above zero.

    Raises:
        ValueError: if ``temperature`` is not finite and above zero.

    Example:
        >>> network = TemperedNetwork(nn.Identity(), 4.0)
        >>> network(torch.tensor([2.0, 8.0])).tolist()
        [0.5, 2.0]
    """

    def __init__(self, network: nn.Module, temperature: float) -> None:
        super().__init__()
        check_positive(temperature, "temperature")
        self.network = network
        self.temperature = float(temperature)

    def forward(self, image: Tensor) -> Tensor:
        """Logits at the temperature, as the network shapes them."""
        logits: Tensor = self.network(image) / self.temperature
        return logits

    def extra_repr(self) -> str:
        """The temperature."""
        return f"temperature={self.temperature}"


def at_temperature(network: nn.Module, temperature: float) -> nn.Module:
    """A network whose logits are divided by a temperature; the network itself at one.

    Args:
        network: gives a tensor of logits.
        temperature: finite and above zero.

    Returns:
        The network, or a :class:`TemperedNetwork` of it.
    """
    return network if temperature == 1.0 else TemperedNetwork(network, temperature)


def fold_temperature(network: nn.Module, temperature: float, window: Tensor) -> nn.Module | None:
    r"""Divide a network's logits by a temperature within its weights.

    The last layer is linear in its weights, so :math:`W / T` and :math:`b / T` give :math:`z / T`.
    MONAI's ``UNet`` with residual units ends in ``conv(h) + h``. There

    .. math::
        W' = (W + \delta) / T - \delta, \qquad b' = b / T

    with :math:`\delta` the identity at the kernel's center, for the layer may change its weights
    and not what is added to its output. Heads of deep supervision are folded alike, so that a
    training that goes on sees logits of one scale.

    Which layer is the last one is seen by running the network, and every fold is proved: on
    ``window`` and on noise of its shape, no logit may be off by more than 1e-5 of the largest.

    Args:
        network: gives logits ``(B, C, *spatial)``; not modified.
        temperature: finite and above zero.
        window: ``(B, C_in, *window)`` of a real image, which the network takes, on its device.

    Returns:
        A copy in evaluation mode, its state dict of the same names and shapes; ``None`` where there
        is no exact fold: logits that come from something else than one linear layer, weights that
        are shared or made of others.

    Raises:
        ValueError: if ``temperature`` is not finite and above zero.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 1))
        >>> window = torch.ones(1, 1, 5, 4)
        >>> folded = fold_temperature(network, 2.0, window)
        >>> torch.allclose(folded(window), network(window) / 2)
        True
    """
    check_positive(temperature, "temperature")
    network = copy.deepcopy(network).eval()
    for candidate in _candidates(network, window):
        folded = copy.deepcopy(network)
        if _fold(folded, candidate, temperature) and _is_proved(
            network, folded, temperature, window
        ):
            _fold_other_heads(folded, candidate, temperature)
            return folded
    _log.warning(
        "The logits of %s do not come from one linear layer alone: the temperature stays outside.",
        type(network).__name__,
    )
    return None


@torch.no_grad()
def _candidates(network: nn.Module, window: Tensor) -> Iterator[str]:
    """Names of the modules whose output is the network's, the innermost first."""
    outputs: dict[str, Tensor] = {}
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, _Linear) or hasattr(module, "residual"):

            def catch(_module: nn.Module, _args: object, output: object, name: str = name) -> None:
                if isinstance(output, torch.Tensor):
                    outputs[name] = output.detach()

            hooks.append(module.register_forward_hook(catch))
    try:
        logits = network(window)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(logits, torch.Tensor):
        return
    for name in sorted(outputs, key=lambda name: -name.count(".")):
        if outputs[name].shape == logits.shape and torch.equal(outputs[name], logits):
            yield name


@torch.no_grad()
def _fold(network: nn.Module, name: str, temperature: float) -> bool:
    """Fold in place; false where the layer is none that this knows."""
    module = network.get_submodule(name)
    if isinstance(module, _Linear):
        return _scale(module, temperature)
    if isinstance(module.residual, nn.Identity):
        last = _last_convolution(module)
        return last is not None and _scale(last, temperature, identity_beside=True)
    if isinstance(module.residual, _Convolutions):  # both branches are divided
        last = _last_convolution(module, apart_from=module.residual)
        return (
            last is not None and _scale(module.residual, temperature) and _scale(last, temperature)
        )
    return False


def _last_convolution(unit: nn.Module, *, apart_from: nn.Module | None = None) -> nn.Module | None:
    found = [one for one in unit.modules() if isinstance(one, _Linear) and one is not apart_from]
    return found[-1] if found else None


def _scale(layer: nn.Module, temperature: float, *, identity_beside: bool = False) -> bool:
    """Divide what a layer gives, together with its input where that is added to it."""
    own = dict(layer.named_parameters(recurse=False))
    if "weight" not in own or not own["weight"].is_floating_point():
        return False  # made of other parameters, such as a norm and a direction
    weight = own["weight"].double()
    identity = torch.zeros_like(weight)
    if identity_beside:
        if not isinstance(layer, _Convolutions) or layer.groups != 1:
            return False
        if layer.in_channels != layer.out_channels or any(n % 2 == 0 for n in layer.kernel_size):
            return False
        channels = torch.arange(layer.in_channels)
        center = [int(n) // 2 for n in layer.kernel_size]
        identity[(channels, channels, *map(torch.tensor, center))] = 1.0
    own["weight"].copy_((weight + identity) / temperature - identity)
    if own.get("bias") is not None:
        own["bias"].copy_(own["bias"].double() / temperature)
    return True


@torch.no_grad()
def _is_proved(network: nn.Module, folded: nn.Module, temperature: float, window: Tensor) -> bool:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(window.shape, generator=generator).to(window)
    for image in (window, noise):
        expected = network(image).double() / temperature
        difference = (folded(image).double() - expected).abs().max()
        if not difference <= _TOLERANCE * expected.abs().max() * temperature:
            return False
    return True


def _fold_other_heads(network: nn.Module, name: str, temperature: float) -> None:
    """Deep supervision: in training the network gives the outputs of these, too."""
    heads = getattr(network, "deep_supervision_heads", None)  # MONAI's DynUNet
    if not isinstance(heads, nn.ModuleList):
        return
    done = network.get_submodule(name)
    with torch.no_grad():
        for head in heads:
            last = _last_convolution(head)
            if last is not None and last is not done:
                _scale(last, temperature)
