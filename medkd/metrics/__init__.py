"""Metrics in MONAI's form: called per batch, aggregated over a data set."""

from medkd.metrics.brier_score_metric import BrierScoreMetric
from medkd.metrics.expected_calibration_error_metric import ExpectedCalibrationErrorMetric
from medkd.metrics.masked_metric import MaskedMetric
from medkd.metrics.negative_log_likelihood_metric import NegativeLogLikelihoodMetric
from medkd.metrics.segmentation_in_mask import dice_in_mask, matthews_correlation_in_mask

__all__ = [
    "BrierScoreMetric",
    "ExpectedCalibrationErrorMetric",
    "MaskedMetric",
    "NegativeLogLikelihoodMetric",
    "dice_in_mask",
    "matthews_correlation_in_mask",
]
