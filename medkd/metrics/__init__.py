"""Metrics in MONAI's form: called per batch, aggregated over a data set."""

from medkd.metrics.adaptive_calibration_error_metric import AdaptiveCalibrationErrorMetric
from medkd.metrics.area_under_risk_coverage_metric import AreaUnderRiskCoverageMetric
from medkd.metrics.brier_decomposition_metric import BrierDecompositionMetric
from medkd.metrics.brier_score_metric import BrierScoreMetric
from medkd.metrics.class_overlap import dice_by_class, jaccard_by_class, volume_error_by_class
from medkd.metrics.classwise_calibration_error_metric import ClasswiseCalibrationErrorMetric
from medkd.metrics.error_detection_metric import ErrorDetectionMetric
from medkd.metrics.expected_calibration_error_metric import ExpectedCalibrationErrorMetric
from medkd.metrics.masked_metric import MaskedMetric
from medkd.metrics.maximum_calibration_error_metric import MaximumCalibrationErrorMetric
from medkd.metrics.negative_log_likelihood_metric import NegativeLogLikelihoodMetric
from medkd.metrics.segmentation_in_mask import dice_in_mask, matthews_correlation_in_mask
from medkd.metrics.surface_distances import SurfaceDistances, surface_distances

__all__ = [
    "AdaptiveCalibrationErrorMetric",
    "AreaUnderRiskCoverageMetric",
    "BrierDecompositionMetric",
    "BrierScoreMetric",
    "ClasswiseCalibrationErrorMetric",
    "ErrorDetectionMetric",
    "ExpectedCalibrationErrorMetric",
    "MaskedMetric",
    "MaximumCalibrationErrorMetric",
    "NegativeLogLikelihoodMetric",
    "SurfaceDistances",
    "dice_by_class",
    "dice_in_mask",
    "jaccard_by_class",
    "matthews_correlation_in_mask",
    "surface_distances",
    "volume_error_by_class",
]
