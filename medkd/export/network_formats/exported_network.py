"""What exports of a network to one file have in common: the run, real windows, a new file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.errors import ExistingFileError, MissingFileError
from medkd.export.network_formats.check_windows import cut_check_windows
from medkd.prediction import PredictionInput, find_inputs, prepare_image
from medkd.runs import find_image, open_deployment

if TYPE_CHECKING:
    from torch import Tensor

    from medkd.runs import Deployment

__all__ = ["ExportedNetwork", "open_to_export"]


@dataclass(frozen=True)
class ExportedNetwork:
    """A file that was written, and how it was proved.

    Attributes:
        path: the file.
        num_windows: how many windows of a real image its logits were compared on.
        max_difference: the largest difference from PyTorch's, in parts of the largest logit.
    """

    path: Path
    num_windows: int
    max_difference: float


def open_to_export(
    run_dir: str | Path, path: Path, *, image: str | Path | None
) -> tuple[Deployment, list[Tensor]]:
    """Open a run on the CPU, and cut windows to compare its network on.

    Args:
        run_dir: the run's folder.
        path: the file to write.
        image: an image like those that the run was trained on; by default the first of its
            validation split, if its data is where it was.

    Returns:
        The run, and batches of windows ``(B, C_in, *window)``.

    Raises:
        FileExistsError: if ``path`` exists.
        FileNotFoundError: if the run, its weights or an image to compare on are missing.
    """
    if path.exists():
        raise ExistingFileError(f"Expected a new file for the export, but {path} exists.")
    run = open_deployment(run_dir, device="cpu")
    prepared = prepare_image(run, _first_image(run, image))
    if run.slice_axis is not None:
        axis = 1 + run.slice_axis
        prepared = prepared.select(axis, prepared.shape[axis] // 2)
    windows = cut_check_windows(prepared, run.window_size, run.network)
    return run, windows


def _first_image(run: Deployment, image: str | Path | None) -> PredictionInput:
    if image is not None:
        return find_inputs(image, spatial_dims=run.image_dims, num_channels=run.num_channels)[0]
    found: dict[str, Any] | None = find_image(run.folder)
    if found is None:
        raise MissingFileError(
            f"Expected an image to compare outputs on, but the data of {run.folder} is no longer "
            "where it was: --image?"
        )
    return PredictionInput(found["case_id"], found["image"])
