"""A finished run, opened to segment with: its student, and what is done before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from monai.bundle.config_parser import ConfigParser
from monai.inferers.inferer import SliceInferer

from medkd.errors import InvalidValueError, MissingFileError
from medkd.networks import load_weights
from medkd.runs.configuration import place_values
from medkd.runs.run_data import run_class_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monai.inferers.inferer import Inferer
    from torch import nn

__all__ = ["RunInference", "open_run"]

_FILE = "inference.json"
_NEEDED = (
    *("image", "pred", "num_channels", "num_classes", "patch_size", "model_file", "network_def"),
    *("preprocessing", "inferer", "postprocessing"),
)


@dataclass(frozen=True, eq=False)
class RunInference:
    """What the run's ``inference.json`` describes, made.

    Attributes:
        folder: of the run.
        config: the configuration, overrides merged, expressions as they stand.
        network: the student, in evaluation mode, on the device.
        model_file: its weights.
        preparing: the transforms from files to ``image``, in their order.
        inferer: MONAI's or :class:`medkd.predictors.PredictionMapsInferer`.
        finishing: the transforms from ``pred`` to files, in their order.
        output_dir: where those write.
        device: of the network.
        amp: whether it runs under autocast.
    """

    folder: Path
    config: Mapping[str, Any]
    network: nn.Module
    model_file: Path
    preparing: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]
    inferer: Inferer
    finishing: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]
    output_dir: Path
    device: torch.device
    amp: bool

    @property
    def image_key(self) -> str:
        """The key of the image."""
        return str(self.config["image"])

    @property
    def pred_key(self) -> str:
        """The key of the prediction."""
        return str(self.config["pred"])

    @property
    def num_channels(self) -> int:
        """Channels of the image."""
        return int(self.config["num_channels"])

    @property
    def num_classes(self) -> int:
        """Classes, with the background."""
        return int(self.config["num_classes"])

    @property
    def patch_size(self) -> tuple[int, ...]:
        """The window that the network sees, in voxels."""
        return tuple(int(size) for size in self.config["patch_size"])

    @property
    def spatial_dims(self) -> int:
        """Axes that the network sees: 2 or 3."""
        return int(self.config.get("spatial_dims", len(self.patch_size)))

    @property
    def slice_axis(self) -> int | None:
        """The axis of a volume along which it is segmented slice by slice; ``None`` if it is not.

        It counts from the first spatial axis of the image as the network's transforms leave it.
        """
        windows = getattr(self.inferer, "windows", self.inferer)
        return windows.spatial_dim if isinstance(windows, SliceInferer) else None

    @property
    def image_dims(self) -> int:
        """2 for a run on pictures, 3 for one on volumes, be it slice by slice."""
        return self.spatial_dims + (self.slice_axis is not None)

    def prepares_by(self, name: str) -> bool:
        """Whether a transform of this class, such as ``Spacingd``, is on the way to the network."""
        return any(type(transform).__name__ == name for transform in self.preparing)

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, the background first."""
        return run_class_names(self.folder, self.num_classes)


def open_run(
    run_dir: str | Path,
    *,
    output_dir: str | Path | None = None,
    device: str | torch.device | None = None,
    with_probability: bool = False,
    with_uncertainty: bool = False,
) -> RunInference:
    """Open a run by its ``inference.json``, which is code to MONAI: open only what you trust.

    Args:
        run_dir: the folder that a training wrote, wherever it lies now.
        output_dir: where predictions are written; by default the run's ``predictions``.
        device: where the network is put; by default the GPU if there is one.
        with_probability: write the map of probabilities of volumes; pictures always get it.
        with_uncertainty: write the map of entropies of volumes; pictures always get it.

    Returns:
        The run. Its weights fit its network exactly, or it is refused.

    Raises:
        FileNotFoundError: if the folder holds no ``inference.json`` or no weights.
        ValueError: if an id is missing, the weights do not fit, or there is no such device.
    """
    folder = Path(run_dir).expanduser()
    parser = ConfigParser(_read(folder))
    changes: dict[str, Any] = {}
    paths = {"run_dir": str(folder)}
    if output_dir is not None:
        paths["output_dir"] = str(output_dir)
    if device is not None:
        changes["device"] = _existing_device(device)
    wanted = {"with_probability": with_probability, "with_uncertainty": with_uncertainty}
    changes |= {name: value for name, value in wanted.items() if name in parser.get()}
    parser.update(changes)
    place_values(parser, paths)
    where = torch.device(parser.get_parsed_content("device"))
    model_file = Path(parser.get_parsed_content("model_file"))
    network: nn.Module = parser.get_parsed_content("network_def")
    load_weights(network, model_file)
    return RunInference(
        folder=folder,
        config=parser.get(),
        network=network.to(where).eval(),
        model_file=model_file,
        preparing=_steps(parser.get_parsed_content("preprocessing")),
        inferer=parser.get_parsed_content("inferer"),
        finishing=_steps(parser.get_parsed_content("postprocessing")),
        output_dir=Path(parser.get_parsed_content("output_dir")),
        device=where,
        amp=bool(parser.get_parsed_content("amp")) if "amp" in parser.get() else False,
    )


def _read(folder: Path) -> dict[str, Any]:
    path = folder / _FILE
    if not path.is_file():
        raise MissingFileError(
            f"Expected the folder of a finished run, but there is no {path}: a run's training "
            "writes it."
        )
    config: dict[str, Any] = ConfigParser.load_config_file(path)
    missing = [name for name in _NEEDED if name not in config]
    if missing:
        raise InvalidValueError(f"Expected {path} to have `{missing[0]}`, but it does not.")
    return config


def _existing_device(name: str | torch.device) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InvalidValueError(
            f"Expected `device` to be such as cpu, cuda or cuda:1, but got {name!r}."
        ) from error
    # Of large numbers torch makes negative ones.
    if device.type == "cuda" and (device.index or 0) not in range(torch.cuda.device_count()):
        raise InvalidValueError(
            f"Expected `device` to be there, but got {str(name)!r} where torch sees "
            f"{torch.cuda.device_count()} GPU(s)."
        )
    return device


def _steps(transform: Any) -> tuple[Any, ...]:  # noqa: ANN401 - MONAI's Compose, or any transform
    """The transforms of a ``Compose``, so that each can be timed or left out."""
    return tuple(getattr(transform, "transforms", (transform,)))
