"""One interface to every source of probabilities, and what a prediction says as maps."""

from medkd.predictors.network_predictor import NetworkPredictor
from medkd.predictors.prediction_maps import PredictionMapsd

__all__ = ["NetworkPredictor", "PredictionMapsd"]
