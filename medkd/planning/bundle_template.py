"""The bundles that come with the package, from which planned ones are made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai.bundle.config_parser import ConfigParser

import medkd

__all__ = ["METHODS", "BundleTemplate", "Method", "find_template"]

_JSON_FILES = (
    "train.json",
    "member.json",
    "evaluate.json",
    "shift.json",
    "multi_gpu.json",
    "metadata.json",
    "inference.json",
)
_REQUIRED = ("train.json", "member.json", "inference.json", "metadata.json", "logging.conf")
_MARK = "kd_uniform"  # a folder `bundles` without it is another project's


@dataclass(frozen=True)
class Method:
    """A way to make the student.

    Args:
        template: the bundle it starts from.
        title: what the bundle is called.
        distillation_weight: share of the ensemble's answer in what the student learns; the rest
            are labels.
        temperature: of the softened probabilities.
        reason: why the weight and the temperature are these.
    """

    template: str
    title: str
    distillation_weight: float
    temperature: float
    reason: str


_PAPER = "The student learns from the ensemble's probabilities alone, as in Noothout et al. (2022)."
METHODS = {
    "end_kl": Method(
        template="kd_uniform",
        title="EnD-KL: one network distilled from an ensemble, mixed with labels",
        distillation_weight=0.7,
        temperature=2.0,
        reason="The student learns 0.7 from the ensemble, softened by temperature 2, and 0.3 from "
        "the labels, as bundles/end_kl does.",
    ),
    "kd_uniform": Method(
        template="kd_uniform",
        title="Knowledge distillation from a uniform ensemble",
        distillation_weight=1.0,
        temperature=1.0,
        reason=_PAPER,
    ),
    "kd_diverse": Method(
        template="kd_diverse",
        title="Knowledge distillation from a diverse ensemble",
        distillation_weight=1.0,
        temperature=1.0,
        reason=_PAPER,
    ),
}


@dataclass(frozen=True)
class BundleTemplate:
    """The files of a bundle.

    Args:
        configs: file name relative to the bundle's folder to its JSON; data-set overlays are left
            out, those of members are there.
        logging_conf: the content of ``logging.conf``.
    """

    configs: dict[str, dict[str, Any]]
    logging_conf: str

    @property
    def train(self) -> dict[str, Any]:
        """The content of ``train.json``."""
        return self.configs["train.json"]


def find_template(name: str) -> BundleTemplate:
    """Read a bundle that came with the package: inside it if installed, beside it in a checkout.

    Args:
        name: name of the bundle.

    Returns:
        Its files.

    Raises:
        FileNotFoundError: if there is no such bundle, or a file of it is missing.
    """
    package = Path(medkd.__file__).parent
    places = (package / "bundles", package.parent / "bundles")
    root = next((place for place in places if (place / _MARK).is_dir()), places[0]) / name
    missing = [file for file in _REQUIRED if not (root / file).is_file()]
    if missing:
        raise FileNotFoundError(
            f"Expected the bundle {name} to come with medkd, but there is no {root / missing[0]}."
        )
    configs = {file: _load(root / file) for file in _JSON_FILES if (root / file).is_file()}
    for overlay in configs["train.json"].get("member_overlays", []):
        configs[overlay] = _load(root / overlay)
    return BundleTemplate(configs, (root / "logging.conf").read_text(encoding="utf-8"))


def _load(path: Path) -> dict[str, Any]:
    return dict(ConfigParser.load_config_file(path))
