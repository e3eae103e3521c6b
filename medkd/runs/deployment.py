"""A finished run, opened to segment with: its student, and what is done before and after it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from monai.bundle.config_parser import ConfigParser
from monai.inferers.inferer import SliceInferer
from monai.utils.type_conversion import convert_to_tensor

from medkd.errors import InvalidValueError, MissingFileError
from medkd.files import sha256_of
from medkd.networks import at_temperature, load_weights
from medkd.predictors import NetworkPredictor, ProbabilitiesInferer
from medkd.runs.configuration import place_values
from medkd.runs.json_files import read_json
from medkd.runs.run_data import run_class_names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from monai.inferers.inferer import Inferer
    from torch import nn

__all__ = ["RECORD", "SHIPPED", "Deployment", "deployment_is_current", "open_deployment"]

RECORD = "deployment.json"
"""What a run says of the weights that it ships: their digest, temperature and origin."""

SHIPPED = "models/shipped.pt"
"""Its weights, with the calibration temperature folded in where that is exact."""

_FILE = "inference.json"
_NEEDED = (
    *("num_channels", "num_classes", "model_file", "network_def"),
    *("preprocessing", "inferer", "postprocessing"),
)


@dataclass(frozen=True, eq=False)
class Deployment:
    """How a file becomes an answer: what the run's ``inference.json`` describes, made.

    It is what evaluation scores as the student as shipped, what ``medkd predict`` runs, and what
    every export is a copy of.

    Attributes:
        folder: of the run.
        config: the configuration, overrides merged, expressions as they stand.
        network: the student with its calibration temperature inside, in evaluation mode, on the
            device.
        model_file: the weights that ship.
        temperature: by which the logits of ``model_file`` are still to be divided, which
            ``network`` does; 1 where the weights have it folded in.
        preparing: the transforms from files to ``image``, in their order.
        windows: MONAI's inferer.
        window_size: the window that the network sees, in voxels.
        inferer: from an image to what ``finishing`` takes.
        finishing: the transforms from ``pred`` to files, in their order.
        output_dir: where those write.
        device: of the network.
        amp: whether it runs under autocast.
    """

    folder: Path
    config: Mapping[str, Any]
    network: nn.Module
    model_file: Path
    temperature: float
    preparing: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]
    windows: Inferer
    window_size: tuple[int, ...]
    inferer: Inferer
    finishing: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...]
    output_dir: Path
    device: torch.device
    amp: bool

    @property
    def image_key(self) -> str:
        """The key of the image."""
        return "image"

    @property
    def pred_key(self) -> str:
        """The key of the prediction."""
        return "pred"

    @property
    def num_channels(self) -> int:
        """Channels of the image."""
        return int(self.config["num_channels"])

    @property
    def num_classes(self) -> int:
        """Classes, with the background."""
        return int(self.config["num_classes"])

    @property
    def spatial_dims(self) -> int:
        """Axes that the network sees: 2 or 3."""
        return int(self.config.get("spatial_dims", len(self.window_size)))

    @property
    def slice_axis(self) -> int | None:
        """The axis of a volume along which it is segmented slice by slice; ``None`` if it is not.

        It counts from the first spatial axis of the image as the network's transforms leave it.
        """
        return self.windows.spatial_dim if isinstance(self.windows, SliceInferer) else None

    @property
    def image_dims(self) -> int:
        """2 for a run on pictures, 3 for one on volumes, be it slice by slice."""
        return self.spatial_dims + (self.slice_axis is not None)

    @property
    def label_values(self) -> list[int]:
        """The value that each class has in what is written, as in the labels of the data set."""
        values = self.config.get("label_values")
        return list(range(self.num_classes)) if values is None else [int(one) for one in values]

    def prepares_by(self, name: str) -> bool:
        """Whether a transform of this class, such as ``Spacingd``, is on the way to the network."""
        return any(type(transform).__name__ == name for transform in self.preparing)

    def prepare(self, item: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """An image as it is prepared where nothing but its file is known, without a mask of it.

        Args:
            item: ``case_id`` and ``image``; what else is in it is not looked at.

        Returns:
            The image ``(1, C_in, *spatial)``, float32, and bool ``(1, 1, *spatial)`` where an
            answer is given, ``None`` for everywhere; both on the device. Out of view it is the
            background.
        """
        case = {name: item[name] for name in ("case_id", "image")}
        for transform in self.preparing:
            case = transform(case)
        tensors: dict[str, torch.Tensor] = {
            name: convert_to_tensor(case[name], track_meta=False, device=self.device).unsqueeze(0)
            for name in ("image", "mask")
            if name in case
        }
        view = tensors.get("mask")
        return tensors["image"].float(), None if view is None else view.bool()

    def predictor(self) -> NetworkPredictor:
        """The student as one of the predictors that are judged."""
        return NetworkPredictor([self.network], self.windows, amp=self.amp)

    @cached_property
    def record(self) -> dict[str, Any]:
        """What ``deployment.json`` says; empty in the folder of an older version's run."""
        path = self.folder / RECORD
        return dict(read_json(path)) if path.is_file() else {}

    @property
    def class_names(self) -> list[str]:
        """Names of the classes, the background first."""
        return run_class_names(self.folder, self.num_classes)


def open_deployment(
    run_dir: str | Path,
    *,
    output_dir: str | Path | None = None,
    device: str | torch.device | None = None,
    with_probability: bool = False,
    with_uncertainty: bool = False,
) -> Deployment:
    """Open a run by its ``inference.json``, which is code to MONAI: open only what you trust.

    Args:
        run_dir: the folder that a training wrote, wherever it lies now.
        output_dir: where predictions are written; by default the run's ``predictions``.
        device: where the network is put; by default the GPU if there is one.
        with_probability: write the map of probabilities of volumes; pictures always get it.
        with_uncertainty: write the map of entropies of volumes; pictures always get it.

    Returns:
        The deployment. Its weights fit its network exactly, or it is refused.

    Raises:
        FileNotFoundError: if the folder holds no ``inference.json`` or no weights.
        ValueError: if an id is missing, the weights do not fit or are not those that were judged,
            or there is no such device.
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
    _check_is_recorded(folder, model_file)
    temperature = float(parser.get().get("calibration_temperature", 1.0))
    network = at_temperature(network, temperature)
    inferer = parser.get_parsed_content("inferer")
    if not hasattr(inferer, "windows"):  # a run of a version that blended logits, or a user's own
        inferer = ProbabilitiesInferer(inferer)
    windows = inferer.windows
    return Deployment(
        folder=folder,
        config=parser.get(),
        network=network.to(where).eval(),
        model_file=model_file,
        temperature=temperature,
        preparing=_steps(parser.get_parsed_content("preprocessing")),
        windows=windows,
        # Now, for MONAI's SliceInferer changes it when it is used.
        window_size=tuple(int(size) for size in windows.roi_size),
        inferer=inferer,
        finishing=_steps(parser.get_parsed_content("postprocessing")),
        output_dir=Path(str(parser.get_parsed_content("output_dir"))),
        device=where,
        amp=bool(parser.get_parsed_content("amp")) if "amp" in parser.get() else False,
    )


def deployment_is_current(run_dir: str | Path, model_file: str | Path) -> bool:
    """Whether what a run would ship was made from these weights.

    Args:
        run_dir: the run's folder.
        model_file: the student's weights, as trained.

    Returns:
        False, too, for a run without a deployment.
    """
    path = Path(run_dir) / RECORD
    if not path.is_file() or not Path(model_file).is_file():
        return False
    return bool(read_json(path).get("model_sha256") == sha256_of(model_file))


def _check_is_recorded(folder: Path, model_file: Path) -> None:
    """Refuse weights in the place of those whose scores and temperature the run tells."""
    path = folder / RECORD
    if model_file != folder / SHIPPED or not path.is_file():
        return
    expected, found = str(read_json(path).get("sha256")), sha256_of(model_file)
    if found != expected:
        raise InvalidValueError(
            f"Expected {model_file} to be the weights that {path} tells of, with the SHA-256 "
            f"{expected[:12]}, but they have {found[:12]}. Run the training's own command again: "
            "it writes both anew."
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
