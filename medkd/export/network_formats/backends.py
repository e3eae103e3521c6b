"""The ways of running a student, and which of them is the fastest."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch

from medkd.errors import InvalidValueError
from medkd.export.network_formats.checked_network import CheckedNetwork
from medkd.export.network_formats.compiled_network import CompiledNetwork
from medkd.export.network_formats.onnx_conversion import convert_to_onnx
from medkd.export.network_formats.onnx_network import OnnxNetwork
from medkd.export.network_formats.torchscript_conversion import convert_to_torchscript

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from medkd.runs import Deployment

__all__ = ["BACKENDS", "backend_network", "choose_backend"]

BACKENDS = ("auto", "torch", "torchscript", "onnx", "compile")
"""``auto`` chooses one of the others."""

# By the spatial axes of the network, as benchmarks/backends.py measures it. In 3D TorchScript and
# `torch.compile` are a tenth and a fifth faster a window, but what they cost before the first one
# is more than they save on a scan (benchmarks/predict_cost.py).
_FASTEST_ON_CPU = {2: "onnx", 3: "torch"}


def choose_backend(
    backend: str = "auto", *, device: str | torch.device = "cpu", spatial_dims: int = 3
) -> str:
    """The backend that is meant.

    Args:
        backend: one of :data:`BACKENDS`.
        device: where the network is to run.
        spatial_dims: of the network.

    Returns:
        ``backend``; for ``"auto"`` the one that ``benchmarks/backends.py`` found the fastest on a
        CPU, or ``"torch"`` if it is not installed or the device is another.

    Raises:
        ValueError: if there is no such backend, or ONNX Runtime is asked for on another device than
            a CPU.

    Example:
        >>> choose_backend("auto", device="cuda")
        'torch'
    """
    if backend not in BACKENDS:
        raise InvalidValueError(
            f"Expected `backend` to be one of {', '.join(BACKENDS)}, but got {backend!r}."
        )
    is_cpu = torch.device(device).type == "cpu"
    if backend == "auto":
        fastest = _FASTEST_ON_CPU.get(spatial_dims, "torch") if is_cpu else "torch"
        return "torch" if fastest == "onnx" and find_spec("onnxruntime") is None else fastest
    if backend == "onnx" and not is_cpu:
        raise InvalidValueError(
            f"Expected `device` to be cpu for the backend onnx, but got {device}."
        )
    return backend


def backend_network(run: Deployment, backend: str = "auto") -> Callable[[Tensor], Tensor]:
    """The student of a run in the form that a backend runs.

    It is made from the run's weights each time, in seconds, so it cannot be that of another
    training. Whatever is not PyTorch as it stands is compared with it on the first windows that it
    is given; see :class:`CheckedNetwork`.

    Args:
        run: the run, on the device that the network is to run on.
        backend: one of :data:`BACKENDS`.

    Returns:
        From windows ``(B, C_in, *window)`` on the run's device to logits ``(B, C, *window)``.

    Raises:
        ValueError: see :func:`choose_backend`.
        RuntimeError: if ONNX Runtime is asked for and not installed.
    """
    backend = choose_backend(backend, device=run.device, spatial_dims=run.spatial_dims)
    if backend == "torch":
        return run.network
    window = torch.zeros(1, run.num_channels, *run.window_size, device=run.device)
    converted: Callable[[Tensor], Tensor]
    if backend == "compile":
        converted = CompiledNetwork(run.network)
    elif backend == "onnx":
        converted = OnnxNetwork(convert_to_onnx(run.network, window))
    else:
        is_cpu = run.device.type == "cpu"
        converted = convert_to_torchscript(run.network, window, for_inference=is_cpu)
    return CheckedNetwork(run.network, converted, name=f"the backend {backend}")
