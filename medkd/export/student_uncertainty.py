"""How unsure an exported student is of an image: one number, to choose what to label next."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from monai.bundle.config_parser import ConfigParser

from medkd.errors import MissingFileError
from medkd.networks import at_temperature, check_state, load_state
from medkd.predictors import PredictionMapsInferer
from medkd.runs.configuration import place_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from monai.inferers.inferer import SlidingWindowInferer
    from torch import nn

__all__ = ["StudentUncertainty"]

_SCRIPTS = "scripts"
_STATE = "model"  # where training in MONAI's way may put the state dict


class StudentUncertainty:
    r"""Mean predictive entropy of a student over an image.

    The student of an ensemble has learned the ensemble's probabilities, so its predictive entropy
    :math:`-\sum_c p_c \log p_c` ranks images about as the ensemble's does, at the price of one
    network. Its mean over the voxels of the network's grid does not grow with the size of the
    image. It does depend on how much of the image is background that nobody doubts: rank images of
    one protocol. Inside the mask, where the student has one (photographs).

    The bundle is read anew when its weights change, so the score follows training in the viewer.

    Args:
        bundle_dir: folder of the exported bundle. Its JSON is code: load only what you trust.
        device: where the network is put.

    Raises:
        FileNotFoundError: if there is no bundle; when called, if there is no image or no weights.
        ValueError: when called, if the weights do not fit the network.
    """

    def __init__(self, bundle_dir: str | Path, *, device: str | torch.device = "cpu") -> None:
        self.bundle_dir = Path(bundle_dir)
        self.device = torch.device(device)
        self.model_file = self.bundle_dir / "models" / "model.pt"
        self._config_file = self.bundle_dir / "configs" / "inference.json"
        if not self._config_file.is_file():
            raise MissingFileError(
                f"Expected an exported bundle in {self.bundle_dir}, but there is no "
                f"{self._config_file}."
            )
        self._loaded: tuple[int, Callable[[Any], Any], nn.Module, SlidingWindowInferer] | None
        self._loaded = None

    @property
    def weights_time(self) -> int:
        """When the weights were written, in nanoseconds since 1970."""
        return self.model_file.stat().st_mtime_ns

    def __call__(self, image_file: str | Path) -> float:
        """Score one image.

        Args:
            image_file: the file.

        Returns:
            Mean predictive entropy in nats, in ``[0, log C]``.
        """
        if not Path(image_file).exists():
            raise MissingFileError(f"Expected an image at {image_file}, but there is none.")
        preprocessing, network, windows = self._load()
        case = preprocessing({"image": str(image_file)})
        infer = PredictionMapsInferer(windows, with_uncertainty=True)
        entropy = infer(case["image"].unsqueeze(0).to(self.device), network)["uncertainty"][0]
        mask = case.get("mask")
        if mask is not None:
            entropy = entropy[torch.as_tensor(mask).bool().to(entropy.device)]
        return float(entropy.double().mean())

    def _load(self) -> tuple[Callable[[Any], Any], nn.Module, SlidingWindowInferer]:
        written = self.weights_time
        if self._loaded is None or self._loaded[0] != written:
            parser = ConfigParser(ConfigParser.load_config_file(self._config_file))
            place_values(parser, {"bundle_root": str(self.bundle_dir)})
            with _scripts_of(self.bundle_dir):
                preprocessing = parser.get_parsed_content("preprocessing")
                network: nn.Module = parser.get_parsed_content("network_def")
                windows = parser.get_parsed_content("windows")
            state = load_state(self.model_file)
            state = state.get(_STATE, state) if isinstance(state, dict) else state
            check_state(network, state, self.model_file)
            network.load_state_dict(state)
            network = at_temperature(network, parser.get("calibration_temperature", 1.0))
            self._loaded = (written, preprocessing, network.to(self.device).eval(), windows)
        return self._loaded[1:]


@contextmanager
def _scripts_of(bundle_dir: Path) -> Iterator[None]:
    """Let ``scripts`` be those of this bundle: another one's may be loaded in the same server."""
    others = {name: module for name, module in sys.modules.items() if _is_script(name)}
    for name in others:
        del sys.modules[name]
    sys.path.insert(0, str(bundle_dir))
    try:
        yield
    finally:
        sys.path.remove(str(bundle_dir))
        for name in [name for name in sys.modules if _is_script(name)]:
            del sys.modules[name]
        sys.modules.update(others)


def _is_script(name: str) -> bool:
    return name.partition(".")[0] == _SCRIPTS
