"""From files to answers: what there is to predict, and one case after the other."""

from medkd.prediction.case_prediction import (
    STAGES,
    CasePrediction,
    predict_cases,
    prepare_image,
)
from medkd.prediction.prediction_inputs import PredictionInput, find_inputs

__all__ = [
    "STAGES",
    "CasePrediction",
    "PredictionInput",
    "find_inputs",
    "predict_cases",
    "prepare_image",
]
