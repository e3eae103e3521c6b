"""An ONNX model, called as a PyTorch network is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from medkd.errors import FailureError, InvalidValueError
from medkd.export.network_formats.onnx_conversion import ONNX_INPUT, ONNX_OUTPUT

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from torch import Tensor

__all__ = ["OnnxNetwork"]

_FATAL = 4  # of ONNX Runtime's log, which otherwise repeats on stderr what is raised


class OnnxNetwork:
    """Runs an ONNX model with ONNX Runtime on the CPU, with as many threads as torch has.

    Args:
        model: file or content of a model with input ``image`` and output ``logits``.

    Raises:
        RuntimeError: if ONNX Runtime is not installed; when called, if the windows do not fit.
        ValueError: if the model cannot be read.

    Example:
        >>> from medkd.export.network_formats import convert_to_onnx
        >>> network = torch.nn.Conv2d(1, 2, kernel_size=1).eval()
        >>> run = OnnxNetwork(convert_to_onnx(network, torch.zeros(1, 1, 4, 4)))
        >>> tuple(run(torch.zeros(3, 1, 6, 5)).shape)
        (3, 2, 6, 5)
    """

    def __init__(self, model: str | Path | bytes) -> None:
        runtime = _import_runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = _FATAL
        source = model if isinstance(model, bytes) else str(model)
        try:
            self._session: Any = runtime.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # it has a class of its own for each reason
            what = "`model`" if isinstance(model, bytes) else str(model)
            raise InvalidValueError(
                f"Expected {what} to be an ONNX model, but got: {_first_line(error)}."
            ) from error

    def __call__(self, window: Tensor) -> Tensor:
        """Logits of windows.

        Args:
            window: ``(B, C_in, *window)``, float32 on the CPU.

        Returns:
            ``(B, C, *window)``.
        """
        try:
            (logits,) = self._session.run([ONNX_OUTPUT], {ONNX_INPUT: window.numpy()})
        except Exception as error:
            raise FailureError(
                f"Expected windows that the ONNX model takes, but {tuple(window.shape)} gave: "
                f"{_first_line(error)}."
            ) from error
        return torch.from_numpy(logits)


def _import_runtime() -> ModuleType:
    try:
        import onnxruntime
    except ImportError as error:
        raise FailureError(
            "Expected ONNX Runtime to be installed, without which no ONNX model can be run, but it "
            "is not: `pip install 'medkd[onnx]'`."
        ) from error
    return onnxruntime  # type: ignore[no-any-return,unused-ignore]


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
