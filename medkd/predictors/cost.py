"""What a prediction costs: multiply-adds, seconds, memory."""

from __future__ import annotations

import ctypes
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from medkd.predictors._joining import mean_of_members

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from medkd.predictors.predictor import Predictor

__all__ = ["PredictorCost", "count_multiply_adds", "measure_cost"]

_PROCESS = Path("/proc/self")


def _attention_operations(
    query: tuple[int, ...], key: tuple[int, ...], value: tuple[int, ...], *_: object, **__: object
) -> int:
    return int(sdpa_flop_count(query, key, value))


# The one kernel of attention that torch's counter does not know.
_MORE_COUNTS = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_operations,
}


@dataclass(frozen=True)
class PredictorCost:
    """What one prediction costs; see :func:`measure_cost`.

    Attributes:
        seconds: wall-clock time.
        multiply_adds: multiplications, each with its addition.
        peak_memory_bytes: most memory held at once beyond what was held before; ``None`` where the
            system does not say.
    """

    seconds: float
    multiply_adds: int
    peak_memory_bytes: int | None


def measure_cost(predictor: Predictor, image: Tensor) -> PredictorCost:
    """What it costs to predict this image: the mean of the members, which come one at a time.

    The image is predicted three times. The first pays for what only a first prediction pays for
    (kernels, caches, the trial of ``batched="auto"``), the second counts, with
    :func:`count_multiply_adds`, and the third, which nothing slows down, is measured.

    Time is wall-clock, and an accelerator is waited for before and after. Memory is that of the
    image's device, the peak beyond what was held before, so it includes the mean prediction and
    excludes image and weights:

    - On CUDA it is what tensors take, to the byte (:func:`torch.cuda.max_memory_allocated`); what
      the allocator holds in reserve is not in it, nor is the context.
    - On a Linux CPU it is the growth of the resident set: tensors, scratch memory of kernels and
      whatever else the process takes meanwhile, in any thread. Memory that was freed but kept by
      the C library is given back first, for its reuse would not show; to take it anew is part of
      the time. The kernel keeps the peak itself (``VmHWM`` of ``/proc/self/status``, reset through
      ``/proc/self/clear_refs``), so no spike is missed; it is accurate to about a megabyte.
    - Elsewhere, and where the process may not reset its peak, it is ``None``.

    Args:
        predictor: any.
        image: ``(B, C_in, *spatial)``, as the predictor takes it.

    Example:
        Each of 4 x 5 voxels and 2 outputs needs 3 multiplications in each of 2 members:

        >>> from monai.inferers import SimpleInferer
        >>> from torch import nn
        >>> from medkd.predictors import NetworkPredictor, measure_cost
        >>> predictor = NetworkPredictor([nn.Conv2d(3, 2, 1)] * 2, SimpleInferer())
        >>> measure_cost(predictor, torch.zeros(1, 3, 4, 5)).multiply_adds
        240
    """
    mean_of_members(predictor.predict_members(image))
    multiply_adds = count_multiply_adds(predictor, image)
    is_cuda = image.device.type == "cuda"
    peak = _cuda_peak(image.device) if is_cuda else _resident_peak()
    start = time.perf_counter()
    mean_of_members(predictor.predict_members(image))
    if is_cuda:
        torch.cuda.synchronize(image.device)
    seconds = time.perf_counter() - start
    return PredictorCost(seconds, multiply_adds, peak())


def count_multiply_adds(predictor: Predictor, image: Tensor) -> int:
    """Multiply-adds of one prediction, as it is carried out.

    Counted are convolutions, transposed ones included, matrix products, linear layers and
    attention: half the operations of :class:`torch.utils.flop_counter.FlopCounterMode`. Every
    window counts in full, with its padding and its overlap, and so does every member, sample and
    view. Not counted are normalization, activations, pooling, interpolation, softmax, recurrent
    layers and the blending of windows. A first prediction counts the trial of ``batched="auto"``.

    Args:
        predictor: any.
        image: ``(B, C_in, *spatial)``, as the predictor takes it. Its values do not matter.

    Returns:
        The number; the same on every device.
    """
    with FlopCounterMode(display=False, custom_mapping=_MORE_COUNTS) as counter:
        mean_of_members(predictor.predict_members(image))
    return int(counter.get_total_flops()) // 2


def _cuda_peak(device: torch.device) -> Callable[[], int]:
    torch.cuda.synchronize(device)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    return lambda: torch.cuda.max_memory_allocated(device) - before


def _resident_peak() -> Callable[[], int | None]:
    """Start to watch the resident set; the function returned says how far it rose."""
    reset = _PROCESS / "clear_refs"
    if not reset.exists():
        return lambda: None
    _give_back_free_memory()
    try:
        reset.write_text("5", encoding="ascii")  # the peak is now what is held
    except OSError:
        return lambda: None
    before = _status_bytes("VmRSS")
    return lambda: max(_status_bytes("VmHWM") - before, 0)


def _give_back_free_memory() -> None:
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # GNU's C library has it
    if trim is not None:
        trim(0)


def _status_bytes(name: str) -> int:
    lines = (_PROCESS / "status").read_text(encoding="utf-8", errors="replace").splitlines()
    values = dict(line.split(":", maxsplit=1) for line in lines)
    return int(values[name].removesuffix("kB")) * 1024
