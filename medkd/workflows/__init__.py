"""What the expressions of a bundle call: one stage of a run a file."""

from medkd.workflows.dropout_training import train_dropout_network
from medkd.workflows.evaluation import evaluate_cases
from medkd.workflows.inference_writing import write_inference
from medkd.workflows.member_training import train_members
from medkd.workflows.network_training import train_network
from medkd.workflows.process_group import ProcessGroup, process_device, start_process_group
from medkd.workflows.report_writing import evaluate_run
from medkd.workflows.run_start import start_run
from medkd.workflows.setting_checks import check_settings
from medkd.workflows.shift_evaluation import evaluate_under_shift
from medkd.workflows.soft_label_writing import write_soft_labels
from medkd.workflows.temperature_fitting import fit_temperatures

__all__ = [
    "ProcessGroup",
    "check_settings",
    "evaluate_cases",
    "evaluate_run",
    "evaluate_under_shift",
    "fit_temperatures",
    "process_device",
    "start_process_group",
    "start_run",
    "train_dropout_network",
    "train_members",
    "train_network",
    "write_inference",
    "write_soft_labels",
]
