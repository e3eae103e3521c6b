"""``medkd export --to torchscript``."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import torch

from medkd.export.network_formats.exported_network import ExportedNetwork, open_to_export
from medkd.export.network_formats.network_description import DESCRIPTION_NAME, describe_network
from medkd.export.network_formats.output_check import check_outputs
from medkd.export.network_formats.torchscript_conversion import convert_to_torchscript
from medkd.files import atomic_write

__all__ = ["export_torchscript"]


def export_torchscript(
    run_dir: str | Path, output: str | Path, *, image: str | Path | None = None
) -> ExportedNetwork:
    """Write the student of a run as ``output/model.ts``, for any batch and size of window.

    Its logits are compared with PyTorch's on windows of a real image before the file is there, from
    the very bytes that are written; the tolerance is
    :data:`medkd.export.network_formats.OUTPUT_TOLERANCE`. How to make an image ready for it and
    what its classes are is in the file's ``metadata.json``, which
    ``monai.data.load_net_with_metadata`` reads.

    Args:
        run_dir: the run's folder.
        output: the folder to write to.
        image: an image to compare on; by default one of the run's data set.

    Returns:
        The file, and how it was proved.

    Raises:
        FileExistsError: if the file exists.
        FileNotFoundError: if the run, its weights or an image to compare on are missing.
        RuntimeError: if the logits differ.
        OSError: if the file cannot be written.
    """
    path = Path(output) / "model.ts"
    run, windows = open_to_export(run_dir, path, image=image)
    script = convert_to_torchscript(run.network, windows[0][:1])
    difference = check_outputs(run.network, script, windows, name="the TorchScript module")
    content = _pack(script, describe_network(run, max_difference=difference))
    check_outputs(run.network, _unpack(content), windows[:1], name="the TorchScript file")
    with atomic_write(path) as file:
        file.write(content)
    return ExportedNetwork(path, sum(map(len, windows)), difference)


def _pack(script: torch.jit.ScriptModule, description: str) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(script, buffer, _extra_files={DESCRIPTION_NAME: description.encode()})
    return buffer.getvalue()


def _unpack(content: bytes) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(io.BytesIO(content), map_location="cpu")
