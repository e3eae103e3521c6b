"""The app that MONAI Label's server runs: exported students, scored and chosen by medkd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import medkd
from medkd.errors import FailureError, MissingFileError
from medkd.export.most_uncertain_strategy import MostUncertainStrategy
from medkd.export.uncertainty_scoring import UncertaintyScoring

__all__ = ["monai_label_app"]

_SCORING = "student_uncertainty"
_STRATEGY = "most_uncertain"


def monai_label_app() -> type:
    """Make the class of the app, which derives from MONAI Label's ``MONAILabelApp``.

    Every bundle in the app's folder ``model`` is offered for inference and for training, with its
    weights loaded strictly. The student's uncertainty takes the place of MONAI Label's own scoring,
    which runs on label maps without probabilities.

    Returns:
        The class, for the ``main.py`` of an app folder.

    Raises:
        RuntimeError: if MONAI Label is not installed.
    """
    try:
        from monailabel.interfaces.app import MONAILabelApp
        from monailabel.tasks.activelearning.first import First
        from monailabel.tasks.activelearning.random import Random
        from monailabel.tasks.infer.bundle import BundleInferTask
        from monailabel.tasks.train.bundle import BundleTrainTask
    except ImportError as error:
        raise FailureError(
            f"Expected MONAI Label to be installed, which serves this app, but got: {error}. The "
            "app's README.md says how to install it."
        ) from error

    class StudentApp(MONAILabelApp):
        """Serves the students in ``<app_dir>/model``."""

        def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
            self.bundles = _find_bundles(Path(app_dir) / "model")
            super().__init__(
                app_dir=app_dir,
                studies=studies,
                conf=conf,
                name="medkd",
                description="Students distilled from ensembles, and their uncertainty",
                version=medkd.__version__,
            )

        def init_infers(self) -> dict[str, Any]:
            """One task a student."""
            return {
                name: BundleInferTask(path, self.conf, load_strict=True)
                for name, path in self.bundles.items()
            }

        def init_trainers(self) -> dict[str, Any]:
            """One task a student."""
            return {
                name: BundleTrainTask(path, self.conf, load_strict=True)
                for name, path in self.bundles.items()
            }

        def init_strategies(self) -> dict[str, Any]:
            """The most uncertain image, and two that need no score."""
            return {_STRATEGY: MostUncertainStrategy(), "random": Random(), "first": First()}

        def init_scoring_methods(self) -> dict[str, Any]:
            """The uncertainty of the first student: an image has one score."""
            return {_SCORING: UncertaintyScoring(next(iter(self.bundles.values())))}

    return StudentApp


def _find_bundles(folder: Path) -> dict[str, str]:
    found = {
        path.name: str(path)
        for path in sorted(folder.glob("*"))
        if (path / "configs" / "inference.json").is_file()
    }
    if not found:
        raise MissingFileError(
            f"Expected a bundle in {folder}, but there is none: export one with `medkd export RUN "
            "--to monailabel`."
        )
    return found
