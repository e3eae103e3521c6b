"""What the expressions of a bundle call: one stage of a run a file."""

from medkd.workflows.case_prediction import (
    STAGES,
    CasePrediction,
    predict_cases,
    prepare_image,
)
from medkd.workflows.dropout_training import train_dropout_network
from medkd.workflows.evaluation import evaluate_cases
from medkd.workflows.feature_checks import check_features
from medkd.workflows.inference_writing import write_inference
from medkd.workflows.labels_only_training import train_labels_only
from medkd.workflows.member_training import train_members
from medkd.workflows.network_training import train_network
from medkd.workflows.prediction_inputs import PredictionInput, find_inputs
from medkd.workflows.process_group import ProcessGroup, process_device, start_process_group
from medkd.workflows.report_writing import evaluate_run
from medkd.workflows.run_data import find_image, find_manifest, run_class_names
from medkd.workflows.run_inference import RunInference, open_run
from medkd.workflows.run_start import start_run
from medkd.workflows.setting_checks import check_settings
from medkd.workflows.shift_evaluation import evaluate_under_shift
from medkd.workflows.soft_label_writing import write_soft_labels
from medkd.workflows.temperature_fitting import fit_temperatures

__all__ = [
    "STAGES",
    "CasePrediction",
    "PredictionInput",
    "ProcessGroup",
    "RunInference",
    "check_features",
    "check_settings",
    "evaluate_cases",
    "evaluate_run",
    "evaluate_under_shift",
    "find_image",
    "find_inputs",
    "find_manifest",
    "fit_temperatures",
    "open_run",
    "predict_cases",
    "prepare_image",
    "process_device",
    "run_class_names",
    "start_process_group",
    "start_run",
    "train_dropout_network",
    "train_labels_only",
    "train_members",
    "train_network",
    "write_inference",
    "write_soft_labels",
]
