"""The scores a report's tables show: their names, which way is better, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CALIBRATION_SCORES", "REGION_ENDINGS", "SCORES", "ScoreColumn", "score_title"]

REGION_ENDINGS = {"field of view": "", "all pixels": "_all", "band": "_band"}
"""Region name to what the ids of its metrics end in; the first is that of the main table."""


@dataclass(frozen=True)
class ScoreColumn:
    """One score.

    Attributes:
        metric: its id.
        title: its heading.
        higher_is_better: which way is better.
        meaning: one sentence for a reader who does not know it.
    """

    metric: str
    title: str
    higher_is_better: bool
    meaning: str


SCORES = (
    ScoreColumn(
        "dice",
        "Dice",
        True,
        "Overlap of prediction and label: twice the shared area over the sum of both areas. "
        "1 is perfect.",
    ),
    ScoreColumn(
        "mcc",
        "MCC",
        True,
        "Matthews correlation coefficient between prediction and label, which counts the "
        "background too. 1 is perfect, 0 is chance.",
    ),
    ScoreColumn(
        "ece",
        "ECE",
        False,
        "Expected calibration error: how far the confidence of a prediction is from the share of "
        "pixels where it is right. 0.02 means two percentage points. 0 is perfect.",
    ),
    ScoreColumn(
        "brier",
        "Brier",
        False,
        "Brier score: squared distance of the predicted probabilities from the label, summed over "
        "classes. It rewards being right and being honest about doubt. 0 is perfect.",
    ),
    ScoreColumn(
        "nll",
        "NLL",
        False,
        "Negative log-likelihood, in nats: what the label costs under the predicted "
        "probabilities. Confident errors cost most. 0 is perfect.",
    ),
)
"""Columns of the main table."""

CALIBRATION_SCORES = tuple(column for column in SCORES if not column.higher_is_better)
"""Those that say how far the probabilities can be trusted; they are given in every region."""


def score_title(metric: str) -> str:
    """Heading of a metric id: the known one, or the id itself as words.

    Args:
        metric: metric id, such as ``"ece"`` or ``"mean_iou"``.

    Returns:
        The heading.

    Example:
        >>> score_title("ece"), score_title("mean_iou")
        ('ECE', 'mean iou')
    """
    titles = {column.metric: column.title for column in SCORES}
    return titles.get(metric, metric.replace("_", " "))
