"""A run's folder: its settings, its networks, its deployment."""

from medkd.runs.deployment import RunInference, open_run
from medkd.runs.inference_writing import write_inference
from medkd.runs.process_group import ProcessGroup, process_device, start_process_group
from medkd.runs.run_data import find_image, find_manifest, run_class_names

__all__ = [
    "ProcessGroup",
    "RunInference",
    "find_image",
    "find_manifest",
    "open_run",
    "process_device",
    "run_class_names",
    "start_process_group",
    "write_inference",
]
