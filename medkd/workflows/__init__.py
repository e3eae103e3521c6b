"""What the expressions of a bundle call: one stage of a run a file."""

from medkd.workflows.deployment_writing import write_deployment
from medkd.workflows.feature_checks import check_features
from medkd.workflows.member_training import (
    train_dropout_network,
    train_labels_only,
    train_members,
)
from medkd.workflows.network_training import train_network
from medkd.workflows.report_writing import evaluate_run
from medkd.workflows.run_start import start_run
from medkd.workflows.setting_checks import check_settings
from medkd.workflows.shift_evaluation import evaluate_under_shift
from medkd.workflows.soft_label_writing import write_soft_labels
from medkd.workflows.temperature_fitting import fit_temperatures

__all__ = [
    "check_features",
    "check_settings",
    "evaluate_run",
    "evaluate_under_shift",
    "fit_temperatures",
    "start_run",
    "train_dropout_network",
    "train_labels_only",
    "train_members",
    "train_network",
    "write_deployment",
    "write_soft_labels",
]
