"""One interface to every source of probabilities, what it says as maps, and what it costs."""

from medkd.predictors.cost import PredictorCost, count_multiply_adds, measure_cost
from medkd.predictors.monte_carlo_dropout_predictor import MonteCarloDropoutPredictor
from medkd.predictors.network_predictor import NetworkPredictor, single_networks
from medkd.predictors.prediction_maps import PredictionMapsd
from medkd.predictors.prediction_maps_inferer import PredictionMapsInferer
from medkd.predictors.predictor import Predictor
from medkd.predictors.probabilities_inferer import ProbabilitiesInferer
from medkd.predictors.temperature_predictor import TemperaturePredictor
from medkd.predictors.test_time_augmentation_predictor import TestTimeAugmentationPredictor

__all__ = [
    "MonteCarloDropoutPredictor",
    "NetworkPredictor",
    "PredictionMapsInferer",
    "PredictionMapsd",
    "Predictor",
    "PredictorCost",
    "ProbabilitiesInferer",
    "TemperaturePredictor",
    "TestTimeAugmentationPredictor",
    "count_multiply_adds",
    "measure_cost",
    "single_networks",
]
