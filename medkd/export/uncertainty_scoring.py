"""The scoring method of the MONAI Label app: how unsure the student is of every image."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from medkd.export.student_uncertainty import StudentUncertainty
from medkd.progress import progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["SCORE", "UncertaintyScoring"]

_log = logging.getLogger(__name__)

SCORE = "student_uncertainty"
_WEIGHTS = "student_uncertainty_weights"  # of which weights a score is


class UncertaintyScoring:
    """Scores every unlabeled image of MONAI Label's datastore by the student's uncertainty.

    It has the form of MONAI Label's ``ScoringMethod``, which need not be installed for it. A score
    is kept with the time of the weights it is of; after training all are made anew. An image that
    cannot be read gets none, and the others are scored.

    Args:
        bundle_dir: folder of the student's bundle.
    """

    def __init__(self, bundle_dir: str | Path) -> None:
        self.bundle_dir = bundle_dir
        self.description = "Mean predictive entropy of the student, in nats"

    def info(self) -> dict[str, str]:
        """What MONAI Label shows of the method."""
        return {"description": self.description}

    def __call__(self, request: Mapping[str, Any], datastore: Any) -> dict[str, Any]:  # noqa: ANN401
        """Score what has no score of the present weights.

        Args:
            request: ``device`` and ``max_samples`` (0 for all) are read.
            datastore: MONAI Label's; the scores are written into its images' information.

        Returns:
            How many images are unlabeled, had a score, got one and could not be scored, and the
            seconds that it took.
        """
        start = time.monotonic()
        uncertainty = StudentUncertainty(self.bundle_dir, device=request.get("device") or "cpu")
        weights = uncertainty.weights_time
        unlabeled = sorted(datastore.get_unlabeled_images())
        waiting = [i for i in unlabeled if datastore.get_image_info(i).get(_WEIGHTS) != weights]
        chosen = waiting[: int(request.get("max_samples") or 0) or None]
        failed = 0
        for number, image in enumerate(
            progress(chosen, desc="scoring images", unit="image"), start=1
        ):
            try:
                score = uncertainty(datastore.get_image_uri(image))
            except (OSError, ValueError, RuntimeError) as error:
                # Its name and its path may be a patient's.
                _log.warning("Image %d has no score: %s", number, type(error).__name__)
                failed += 1
                continue
            datastore.update_image_info(image, {SCORE: score, _WEIGHTS: weights})
        return {
            "total": len(unlabeled),
            "skipped": len(unlabeled) - len(waiting),
            "executed": len(chosen) - failed,
            "failed": failed,
            "latency": round(time.monotonic() - start, 3),
        }
