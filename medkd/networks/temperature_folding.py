"""A calibration temperature inside a network: in its weights where that is exact, or behind it."""

from __future__ import annotations

import copy
import logging
from collections import Counter
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

    Which layer is the last one is seen by running the network: its output is the network's, not a
    tensor that was made of it, and the layer runs once, with weights of its own. No proof shows
    that, for limits that the logits do not come near and weights shared across a norm pass it.
    Then every fold is proved: on ``window`` and on noise of its shape, no logit may be off by more
    than 1e-5 of the largest.

    Args:
        network: gives logits ``(B, C, *spatial)``; not modified.
        temperature: finite and above zero.
        window: ``(B, C_in, *window)`` of a real image, which the network takes, on its device.

    Returns:
        A copy in evaluation mode, its state dict of the same names and shapes; ``None`` where there
        is no exact fold: logits that come from something else than one linear layer, weights that
        are shared or made of others, a network that :func:`copy.deepcopy` does not take.

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
    try:
        network = copy.deepcopy(network).eval()
    except RuntimeError:  # it holds results with a gradient: PyTorch's older weight norm does
        _log.warning("The network is not copied: the temperature stays outside.", exc_info=True)
        return None
    for candidate in _candidates(network, window):
        folded = copy.deepcopy(network)
        is_folded = _fold(folded, candidate, temperature)
        is_folded = is_folded and _fold_other_heads(folded, candidate, temperature)
        if is_folded and _is_proved(network, folded, temperature, window):
            return folded
    _log.warning(
        "The logits of %s do not come from one linear layer alone: the temperature stays outside.",
        type(network).__name__,
    )
    return None


@torch.no_grad()
def _candidates(network: nn.Module, window: Tensor) -> Iterator[str]:
    """Names of the modules whose output is the network's, the innermost first."""
    outputs: dict[str, tuple[Tensor, int]] = {}
    calls: Counter[nn.Module] = Counter()
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, _Linear) or hasattr(module, "residual"):

            def catch(module: nn.Module, _args: object, output: object, name: str = name) -> None:
                calls[module] += 1
                if isinstance(output, torch.Tensor):
                    outputs[name] = output, output._version

            hooks.append(module.register_forward_hook(catch))
    try:
        # Tensors of the inference mode have no version; to leave it switches gradients on.
        with torch.inference_mode(mode=False), torch.no_grad():
            logits = network(window)
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(logits, torch.Tensor):
        return
    for name in sorted(outputs, key=lambda name: -name.count(".")):
        output, version = outputs[name]
        # A later version is what an operation in place has made of it.
        is_same = output.data_ptr() == logits.data_ptr() and logits._version == version
        if is_same and output.shape == logits.shape and output.stride() == logits.stride():
            layers = [m for m in network.get_submodule(name).modules() if isinstance(m, _Linear)]
            if all(calls[layer] == 1 and _has_its_own_weights(layer, network) for layer in layers):
                yield name


def _has_its_own_weights(layer: nn.Module, network: nn.Module) -> bool:
    others = (one for one in network.modules() if one is not layer)
    theirs = {id(weights) for one in others for weights in one.parameters(recurse=False)}
    return all(id(weights) not in theirs for weights in layer.parameters(recurse=False))


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


@torch.no_grad()
def _fold_other_heads(network: nn.Module, name: str, temperature: float) -> bool:
    """Deep supervision: in training the network gives the outputs of these, too."""
    heads = getattr(network, "deep_supervision_heads", None)  # MONAI's DynUNet
    if not isinstance(heads, nn.ModuleList):
        return True
    done = network.get_submodule(name)
    layers = [_last_convolution(head) for head in heads]
    return all(one is done or (one is not None and _scale(one, temperature)) for one in layers)
