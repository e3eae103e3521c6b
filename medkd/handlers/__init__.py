"""Ignite handlers: what happens round the steps of a training."""

from medkd.handlers.brier_score_handler import BrierScoreHandler
from medkd.handlers.epoch_seed_handler import EpochSeedHandler
from medkd.handlers.expected_calibration_error_handler import ExpectedCalibrationErrorHandler
from medkd.handlers.history_handler import HistoryHandler, read_history
from medkd.handlers.loss_terms import loss_terms
from medkd.handlers.masked_metric_handler import MaskedMetricHandler
from medkd.handlers.negative_log_likelihood_handler import NegativeLogLikelihoodHandler
from medkd.handlers.peer_weights_handler import PeerWeightsHandler
from medkd.handlers.progress_handler import ProgressHandler
from medkd.handlers.resume_handler import ResumeHandler

__all__ = [
    "BrierScoreHandler",
    "EpochSeedHandler",
    "ExpectedCalibrationErrorHandler",
    "HistoryHandler",
    "MaskedMetricHandler",
    "NegativeLogLikelihoodHandler",
    "PeerWeightsHandler",
    "ProgressHandler",
    "ResumeHandler",
    "loss_terms",
    "read_history",
]
