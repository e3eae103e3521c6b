"""The student as TorchScript and ONNX, and the ways of running it."""

from __future__ import annotations

from medkd.export.network_formats.backends import BACKENDS, backend_network, choose_backend
from medkd.export.network_formats.checked_network import CheckedNetwork
from medkd.export.network_formats.compiled_network import CompiledNetwork
from medkd.export.network_formats.exported_network import ExportedNetwork
from medkd.export.network_formats.onnx_conversion import convert_to_onnx
from medkd.export.network_formats.onnx_export import export_onnx
from medkd.export.network_formats.onnx_network import OnnxNetwork
from medkd.export.network_formats.output_check import OUTPUT_TOLERANCE, check_outputs
from medkd.export.network_formats.torchscript_conversion import convert_to_torchscript
from medkd.export.network_formats.torchscript_export import export_torchscript

__all__ = [
    "BACKENDS",
    "OUTPUT_TOLERANCE",
    "CheckedNetwork",
    "CompiledNetwork",
    "ExportedNetwork",
    "OnnxNetwork",
    "backend_network",
    "check_outputs",
    "choose_backend",
    "convert_to_onnx",
    "convert_to_torchscript",
    "export_onnx",
    "export_torchscript",
]
