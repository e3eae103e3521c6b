"""Pure functions on tensors: what the losses, metrics and predictors compute."""

from medkd.functional.adaptive_calibration import (
    adaptive_calibration_error,
    adaptive_top_label_calibration_error,
)
from medkd.functional.band import label_band, surface_band
from medkd.functional.calibration import (
    ReliabilityBins,
    expected_calibration_error,
    maximum_calibration_error,
    reliability_bins,
    root_mean_square_calibration_error,
)
from medkd.functional.classwise_calibration import (
    BrierDecomposition,
    ClasswiseBins,
    brier_decomposition,
    classwise_bins,
    classwise_calibration_error,
)
from medkd.functional.confusion import confusion_counts, matthews_correlation
from medkd.functional.contrastive import contrastive_representation, supervised_info_nce
from medkd.functional.disagreement import (
    DisagreementSums,
    disagreement_correlation,
    disagreement_sums,
)
from medkd.functional.distillation import distillation_kl, ensemble_probs
from medkd.functional.error_histogram import ErrorBins, entropy_error_bins, error_bins
from medkd.functional.error_ranking import (
    area_under_risk_coverage,
    error_detection_auroc,
    excess_area_under_risk_coverage,
    risk_coverage_curve,
)
from medkd.functional.failure_detection import failure_aurc, failure_auroc, rank_correlation
from medkd.functional.mutual import consistency, cross_pseudo_label, mutual_dice, mutual_kl
from medkd.functional.positions import features_at, sample_positions
from medkd.functional.probability_codes import decode_probs, encode_probs
from medkd.functional.scores import brier_score, negative_log_likelihood
from medkd.functional.temperature import fit_temperature, tempered_probs
from medkd.functional.uncertainty import (
    entropy,
    expected_entropy,
    mutual_information,
    predictive_entropy,
)

__all__ = [
    "BrierDecomposition",
    "ClasswiseBins",
    "DisagreementSums",
    "ErrorBins",
    "ReliabilityBins",
    "adaptive_calibration_error",
    "adaptive_top_label_calibration_error",
    "area_under_risk_coverage",
    "brier_decomposition",
    "brier_score",
    "classwise_bins",
    "classwise_calibration_error",
    "confusion_counts",
    "consistency",
    "contrastive_representation",
    "cross_pseudo_label",
    "decode_probs",
    "disagreement_correlation",
    "disagreement_sums",
    "distillation_kl",
    "encode_probs",
    "ensemble_probs",
    "entropy",
    "entropy_error_bins",
    "error_bins",
    "error_detection_auroc",
    "excess_area_under_risk_coverage",
    "expected_calibration_error",
    "expected_entropy",
    "failure_aurc",
    "failure_auroc",
    "features_at",
    "fit_temperature",
    "label_band",
    "matthews_correlation",
    "maximum_calibration_error",
    "mutual_dice",
    "mutual_information",
    "mutual_kl",
    "negative_log_likelihood",
    "predictive_entropy",
    "rank_correlation",
    "reliability_bins",
    "risk_coverage_curve",
    "root_mean_square_calibration_error",
    "sample_positions",
    "supervised_info_nce",
    "surface_band",
    "tempered_probs",
]
