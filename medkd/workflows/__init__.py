"""What the expressions of a bundle call: one stage of a run a file."""

from medkd.workflows.evaluation import evaluate_cases
from medkd.workflows.member_training import train_members
from medkd.workflows.network_training import train_network
from medkd.workflows.report_writing import evaluate_run
from medkd.workflows.run_start import start_run
from medkd.workflows.setting_checks import check_settings
from medkd.workflows.soft_label_writing import write_soft_labels

__all__ = [
    "check_settings",
    "evaluate_cases",
    "evaluate_run",
    "start_run",
    "train_members",
    "train_network",
    "write_soft_labels",
]
