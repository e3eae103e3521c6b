"""The bundles that come with the package, from which planned ones are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from medkd.files import bundle_source
from medkd.planning.bundle_source import compose_bundle
from medkd.planning.choice import Choice

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["METHODS", "BundleTemplate", "Method", "find_template"]

_TRAIN, _DATASETS = "train.json", "datasets/"


@dataclass(frozen=True)
class Method:
    """A way to make the student.

    Args:
        template: the bundle it starts from.
        title: what the bundle is called.
        training: what a run does before it writes the report, as words after "the first".
        choices: ids that the method itself decides: weight and temperature of its loss.
        uses_unlabeled: whether it trains on images without a label, too.
    """

    template: str
    title: str
    training: str
    choices: Mapping[str, Choice]
    uses_unlabeled: bool = False


_DISTILLED = "trains the ensemble, distills it into one network"
_AS_WEIGHT = "See `distillation_weight`."
_PAPER = {
    "distillation_weight": Choice(
        1.0,
        "The student learns from the ensemble's probabilities alone, as in Noothout et al. (2022).",
    ),
    "distillation_temperature": Choice(1.0, _AS_WEIGHT),
}
METHODS = {
    "end_kl": Method(
        template="kd_uniform",
        title="EnD-KL: one network distilled from an ensemble, mixed with labels",
        training=_DISTILLED,
        choices={
            "distillation_weight": Choice(
                0.7,
                "The student learns 0.7 from the ensemble, softened by temperature 2, and 0.3 from "
                "the labels, as bundles/end_kl does.",
            ),
            "distillation_temperature": Choice(2.0, _AS_WEIGHT),
        },
    ),
    "end_crd": Method(
        template="planned/end_crd",
        title="EnD-CRD: one network distilled from an ensemble's features and probabilities",
        training=_DISTILLED,
        choices={
            "distillation_weight": Choice(
                0.7, "As in bundles/end_crd: 0.7 from the ensemble, 0.3 from the labels."
            ),
            "distillation_temperature": Choice(2.0, _AS_WEIGHT),
        },
    ),
    "kd_uniform": Method(
        template="kd_uniform",
        title="Knowledge distillation from a uniform ensemble",
        training=_DISTILLED,
        choices=_PAPER,
    ),
    "kd_diverse": Method(
        template="kd_diverse",
        title="Knowledge distillation from a diverse ensemble",
        training=_DISTILLED,
        choices=_PAPER,
    ),
    "dmd": Method(
        template="dmd",
        title="Deep mutual distillation: one network from few labels and many images",
        training="trains a network on the labels alone to compare with, and then the student and "
        "its peer on all images",
        choices={
            "mutual_weight": Choice(
                4.0, "What the peers say to each other, beside the labels: as in Xie et al. (2023)."
            ),
            "distillation_temperature": Choice(
                2.0,
                "Of the peers' probabilities, as in that paper: it keeps their doubt.",
            ),
        },
        uses_unlabeled=True,
    ),
    "mtms_kd": Method(
        template="mtms_kd",
        title="MTMS-KD: a small network distilled from a teacher's features and probabilities",
        training="trains the teacher of two tasks, the small network on labels alone to compare "
        "with, and then the student",
        choices={
            "num_student_folds": Choice(
                2,
                "The student sees half of the patients, as in Biswas (2024), and its teacher all; "
                "0 shows it all.",
            ),
            "feature_weights": Choice(
                {"encoder": 0.17, "bottleneck": 0.33, "decoder": 0.17},
                "That paper's weights of the contrast, 0.1, 0.2 and 0.1, divided by what labels "
                "and probabilities weigh there together, 0.6.",
            ),
            "distillation_weight": Choice(
                0.33, "That paper's 0.2 for the teacher's probabilities beside 0.4 for the labels."
            ),
            "distillation_temperature": Choice(
                4.0, "Of the teacher's probabilities, as in that paper."
            ),
        },
    ),
}


@dataclass(frozen=True)
class BundleTemplate:
    """The files of a bundle.

    Args:
        configs: file name relative to the bundle's folder to its JSON; overlays of a data set are
            left out, those of members and of methods are there.
        logging_conf: the content of ``logging.conf``.
    """

    configs: dict[str, dict[str, Any]]
    logging_conf: str

    @property
    def train(self) -> dict[str, Any]:
        """The content of ``train.json``."""
        return self.configs[_TRAIN]


def find_template(name: str) -> BundleTemplate:
    """A bundle that came with the package, as its source has it.

    Args:
        name: name of the bundle.

    Returns:
        Its files.

    Raises:
        FileNotFoundError: if there is no such bundle.
    """
    composed = compose_bundle(name)
    return BundleTemplate(
        {file: config for file, config in composed.items() if not file.startswith(_DATASETS)},
        (bundle_source() / "logging.conf").read_text(encoding="utf-8"),
    )
