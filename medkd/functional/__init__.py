"""Pure functions on tensors: what the losses, metrics and predictors compute."""

from medkd.functional.band import label_band
from medkd.functional.calibration import (
    ReliabilityBins,
    expected_calibration_error,
    reliability_bins,
)
from medkd.functional.confusion import confusion_counts, matthews_correlation
from medkd.functional.distillation import distillation_kl, ensemble_probs
from medkd.functional.probability_codes import decode_probs, encode_probs
from medkd.functional.scores import brier_score, negative_log_likelihood
from medkd.functional.uncertainty import (
    entropy,
    expected_entropy,
    mutual_information,
    predictive_entropy,
)

__all__ = [
    "ReliabilityBins",
    "brier_score",
    "confusion_counts",
    "decode_probs",
    "distillation_kl",
    "encode_probs",
    "ensemble_probs",
    "entropy",
    "expected_calibration_error",
    "expected_entropy",
    "label_band",
    "matthews_correlation",
    "mutual_information",
    "negative_log_likelihood",
    "predictive_entropy",
    "reliability_bins",
]
