"""A run: its folder, its settings, its networks, and what it ships."""

from medkd.runs.deployment import Deployment, deployment_is_current, open_deployment
from medkd.runs.process_group import ProcessGroup, process_device, start_process_group
from medkd.runs.run import Run, this_run
from medkd.runs.run_data import find_image, find_manifest, run_class_names

__all__ = [
    "Deployment",
    "ProcessGroup",
    "Run",
    "deployment_is_current",
    "find_image",
    "find_manifest",
    "open_deployment",
    "process_device",
    "run_class_names",
    "start_process_group",
    "this_run",
]
