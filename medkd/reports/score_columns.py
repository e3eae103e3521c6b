"""The scores a report's tables show: their names, which way is better, and what they mean.

A sentence a score, in plain words; some are long, which makes this file so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = [
    "CALIBRATION_SCORES",
    "COMPARED_METRICS",
    "REGION_ENDINGS",
    "REGION_SCORES",
    "SCORES",
    "STRUCTURE_SCORES",
    "SUMMARY_SCORES",
    "UNCERTAINTY_SCORES",
    "WHOLE_IMAGE_ENDINGS",
    "ScoreColumn",
    "class_ending",
    "score_column",
    "score_title",
]

REGION_ENDINGS = {"field of view": "", "all pixels": "_all", "band": "_band"}
"""Region name to what the ids of its metrics end in; the first is that of the main table."""

WHOLE_IMAGE_ENDINGS = {"whole image": "", "band": "_band"}
"""The same for cases without a mask, where all voxels count."""

_LIKE_A_REGION = re.compile(
    "(_class)*(" + "|".join(re.escape(ending) for ending in REGION_ENDINGS.values() if ending) + ")"
)


def class_ending(name: str) -> str:
    """What the id of a metric of one class ends in.

    Args:
        name: of the class.

    Returns:
        An underscore and the name. For a class that is called as a region is there is another one,
        so that neither is taken for the other.

    Example:
        >>> class_ending("vessel"), class_ending("band")
        ('_vessel', '_class_band')
    """
    return f"_class_{name}" if _LIKE_A_REGION.fullmatch(f"_{name}") else f"_{name}"


@dataclass(frozen=True)
class ScoreColumn:
    """One score.

    Attributes:
        metric: its id.
        title: its heading.
        higher_is_better: which way is better.
        meaning: one sentence for a reader who does not know it.
        digits: after the point; ``None`` for as many as tell its means apart.
    """

    metric: str
    title: str
    higher_is_better: bool
    meaning: str
    digits: int | None = None

    @property
    def is_of_volumes(self) -> bool:
        """Whether it needs the size of a voxel, so that pictures do not have it."""
        return self.metric in {"hd95", "asd", "volume_error"}


_DICE = ScoreColumn(
    "dice",
    "Dice",
    True,
    "Overlap of prediction and label: twice the shared area over the sum of both areas. "
    "1 is perfect.",
)
_JACCARD = ScoreColumn(
    "jaccard",
    "Jaccard",
    True,
    "Intersection over union of prediction and label, the stricter relative of Dice. 1 is perfect.",
)
_MCC = ScoreColumn(
    "mcc",
    "MCC",
    True,
    "Matthews correlation coefficient between prediction and label, which counts the "
    "background too. 1 is perfect, 0 is chance.",
)
_ECE = ScoreColumn(
    "ece",
    "ECE",
    False,
    "Expected calibration error: how far the confidence of a prediction is from the share of "
    "pixels where it is right. 0.02 means two percentage points. 0 is perfect.",
)
_BRIER = ScoreColumn(
    "brier",
    "Brier",
    False,
    "Brier score: squared distance of the predicted probabilities from the label, summed over "
    "classes. It rewards being right and being honest about doubt. 0 is perfect.",
)
_NLL = ScoreColumn(
    "nll",
    "NLL",
    False,
    "Negative log-likelihood, in nats: what the label costs under the predicted "
    "probabilities. Confident errors cost most. 0 is perfect.",
)

_HD95 = ScoreColumn(
    "hd95",
    "HD95 (mm)",
    False,
    "95 % Hausdorff distance, in millimeters: how far the surfaces of prediction and label lie "
    "apart where they differ most, but for the worst 5 % of them. Mean over the structures that "
    "the label has. A structure of which nothing was found counts with the diagonal of the volume.",
    digits=2,
)
_ASD = ScoreColumn(
    "asd",
    "Surface distance (mm)",
    False,
    "Average symmetric surface distance, in millimeters: how far the surfaces of prediction and "
    "label lie apart on average, in both directions. A structure of which nothing was found counts "
    "with the diagonal of the volume.",
    digits=2,
)
_VOLUME_ERROR = ScoreColumn(
    "volume_error",
    "Volume error",
    False,
    "How far the predicted volume is from that of the label, as a share of the latter. 0.05 means "
    "five percent too much or too little. It does not see where the volume lies.",
)
SCORES = (_DICE, _HD95, _MCC, _ECE, _BRIER, _NLL)
"""Columns of the main table; those of distances are of volumes only."""

STRUCTURE_SCORES = (_DICE, _JACCARD, _HD95, _ASD, _VOLUME_ERROR, _ECE)
"""Those that are given of every structure of a volume."""

REGION_SCORES = (_ECE, _BRIER, _NLL)
"""Those that are given in every region."""

CALIBRATION_SCORES = (
    _ECE,
    ScoreColumn(
        "mce",
        "MCE",
        False,
        "Maximum calibration error: the gap between confidence and accuracy in the worst bin of "
        "the reliability diagram.",
    ),
    ScoreColumn(
        "ace",
        "ACE",
        False,
        "Adaptive calibration error: as ECE, with as many pixels in every bin, so that the bin of "
        "the surest pixels does not decide alone.",
    ),
    ScoreColumn(
        "classwise_ece",
        "Class-wise ECE",
        False,
        "As ECE, of the probability of every class and not of the predicted one alone; the mean "
        "over classes.",
    ),
    ScoreColumn(
        "rms_calibration_error",
        "RMSCE",
        False,
        "Root mean square calibration error: as ECE with squared gaps, less what the finite number "
        "of pixels adds by chance (debiased).",
    ),
    _BRIER,
    ScoreColumn(
        "brier_calibration",
        "Brier: calibration",
        False,
        "The part of the Brier score that honest probabilities would save.",
    ),
    ScoreColumn(
        "brier_refinement",
        "Brier: refinement",
        False,
        "The part of the Brier score that remains after that: right and wrong told apart.",
    ),
    _NLL,
)
"""Columns of the calibration table: how far the probabilities can be trusted."""

UNCERTAINTY_SCORES = (
    ScoreColumn(
        "aurc",
        "AURC",
        False,
        "Area under the risk-coverage curve: the error rate of the surest pixels, on average over "
        "how many of them are kept. 0 is perfect.",
    ),
    ScoreColumn(
        "excess_aurc",
        "E-AURC",
        False,
        "Excess AURC: AURC less that of an uncertainty that puts every error last, so that it "
        "judges the uncertainty and not the number of errors. 0 is perfect.",
    ),
    ScoreColumn(
        "error_auroc",
        "Error AUROC",
        True,
        "Chance that a wrong pixel is more uncertain (predictive entropy) than a right one. 1 is "
        "perfect, 0.5 is chance.",
    ),
    ScoreColumn(
        "error_auroc_mutual_information",
        "Error AUROC, MI",
        True,
        "The same with mutual information, the disagreement between members, as uncertainty.",
    ),
    ScoreColumn(
        "disagreement_correlation",
        "Observer corr.",
        True,
        "Correlation of the uncertainty with where two observers disagree. 1 is perfect, 0 is "
        "none.",
    ),
    ScoreColumn(
        "disagreement_auroc",
        "Observer AUROC",
        True,
        "Chance that a pixel where two observers disagree is more uncertain than one where they "
        "agree. 0.5 is chance.",
    ),
)
"""Columns of the uncertainty table that have a value for every case."""

SUMMARY_SCORES = (
    ScoreColumn(
        "failure_auroc",
        "Failure AUROC",
        True,
        "Chance that a case that failed is more uncertain than one that did not; one number for "
        "all cases. 0.5 is chance.",
    ),
    ScoreColumn(
        "failure_aurc",
        "Failure AURC",
        False,
        "Area under the risk-coverage curve of whole cases, the risk being 1 - Dice.",
    ),
    ScoreColumn(
        "uncertainty_dice_correlation",
        "Corr. with Dice",
        False,
        "Rank correlation over cases between mean uncertainty and Dice: -1 if uncertainty "
        "foretells a low Dice, 0 if it says nothing.",
    ),
)
"""Columns of the uncertainty table that are one number a data set."""

COMPARED_METRICS = ("dice", "hd95", "ece", "nll", "aurc")
"""Those whose differences from a reference are tested, case by case."""

_ALL = {
    column.metric: column
    for columns in (
        SCORES,
        STRUCTURE_SCORES,
        CALIBRATION_SCORES,
        UNCERTAINTY_SCORES,
        SUMMARY_SCORES,
    )
    for column in columns
}


def score_column(metric: str) -> ScoreColumn:
    """What is known of a metric.

    Args:
        metric: id of a metric that a table shows.

    Returns:
        Its column.

    Raises:
        KeyError: if no table shows it.

    Example:
        >>> score_column("aurc").higher_is_better
        False
    """
    return _ALL[metric]


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
    return _ALL[metric].title if metric in _ALL else metric.replace("_", " ")
