"""What the expressions of a bundle call: one stage of a run a file."""

from medkd.workflows.member_training import train_members
from medkd.workflows.network_training import train_network
from medkd.workflows.run_start import start_run
from medkd.workflows.soft_label_writing import write_soft_labels
