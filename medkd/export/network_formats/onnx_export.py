"""``medkd export --to onnx``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medkd.errors import FailureError
from medkd.export.network_formats.exported_network import ExportedNetwork, open_to_export
from medkd.export.network_formats.network_description import describe_network
from medkd.export.network_formats.onnx_conversion import convert_to_onnx
from medkd.export.network_formats.onnx_network import OnnxNetwork
from medkd.export.network_formats.output_check import check_outputs
from medkd.files import atomic_write

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["export_onnx"]

_DESCRIPTION = "medkd"  # the model's own property that holds the description


def export_onnx(
    run_dir: str | Path, output: str | Path, *, image: str | Path | None = None
) -> ExportedNetwork:
    """Write the student of a run as ``output/model.onnx``, for any batch and size of window.

    Its logits are compared with PyTorch's on windows of a real image before the file is there; the
    tolerance is :data:`medkd.export.network_formats.OUTPUT_TOLERANCE`. How to make an image ready
    for it and what its classes are is in the model's property ``medkd``, as JSON.

    Args:
        run_dir: the run's folder.
        output: the folder to write to.
        image: an image to compare on; by default one of the run's data set.

    Returns:
        The file, and how it was proved.

    Raises:
        FileExistsError: if the file exists.
        FileNotFoundError: if the run, its weights or an image to compare on are missing.
        RuntimeError: if the logits differ, or onnx or ONNX Runtime is not installed.
        OSError: if the file cannot be written.
    """
    onnx = _import_onnx()
    path = Path(output) / "model.onnx"
    run, windows = open_to_export(run_dir, path, image=image)
    model = onnx.load_from_string(convert_to_onnx(run.network, windows[0][:1]))
    # What is written is what is compared, so the description comes before the comparison, too.
    difference = check_outputs(
        run.network, OnnxNetwork(model.SerializeToString()), windows, name="the ONNX model"
    )
    description = describe_network(run, max_difference=difference)
    onnx.helper.set_model_props(model, {_DESCRIPTION: description})
    content = model.SerializeToString()
    OnnxNetwork(content)  # it can be opened with its description, too
    with atomic_write(path) as file:
        file.write(content)
    return ExportedNetwork(path, sum(map(len, windows)), difference)


def _import_onnx() -> ModuleType:
    try:
        import onnx
    except ImportError as error:
        raise FailureError(
            "Expected onnx to be installed, without which no ONNX model can be written, but it is "
            "not: `pip install 'medkd[onnx]'`."
        ) from error
    return onnx  # type: ignore[no-any-return,unused-ignore]
