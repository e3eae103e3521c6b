"""The ``inference.json`` of an exported bundle: that of the run, with MONAI alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from medkd.export.plain_transforms import plain_transforms

if TYPE_CHECKING:
    from medkd.export.bundle_scripts import BundleScripts
    from medkd.export.trained_run import TrainedRun

__all__ = ["image_transforms", "plain_inference", "shared_ids"]

_VOLUME = 3  # axes
_LARGEST = {"uint8": 255, "int16": 2**15 - 1, "int32": 2**31 - 1}
_SUFFIX = {2: ".png", 3: ".nii.gz"}
_PATTERN = {2: "*.*", 3: "*.nii*"}
# Ids that only the run's own inference has, or that the bundle says anew.
_REPLACED = (
    *("imports", "bundle_root", "this_run", "dataset_dir", "file_pattern", "run_dir", "model_file"),
    *("output_dir", "config_file", "log_file", "device", "amp", "num_workers", "label_values"),
    *("with_probability", "with_uncertainty", "network", "windows", "inferer", "dataset"),
    *(
        "dataloader",
        "preprocessing",
        "postprocessing",
        "handlers",
        "evaluator",
        "initialize",
        "run",
    ),
    *("calibration_temperature", "finalize"),
)
# The softmax is taken in every window, and windows are blended as probabilities: so are the run's.
_BLENDED_PROBS = (
    "$lambda image, network, *args, **kwargs: @windows(image, "
    "lambda window: torch.softmax(network(window){tempered}, dim=1), *args, **kwargs)"
)


def shared_ids(run: TrainedRun) -> dict[str, Any]:
    """What a bundle for inference and one for training both say: sizes, keys, the network.

    Args:
        run: the run.

    Returns:
        Ids in the run's order, to their values.
    """
    ids = {name: value for name, value in run.inference.items() if name not in _REPLACED}
    network = {"network": "$@network_def.to(@device)"}
    return copy.deepcopy(ids) | network | _inferer(run)


def plain_inference(run: TrainedRun, scripts: BundleScripts) -> dict[str, Any]:
    """Say with MONAI alone what the run's inference says.

    Args:
        run: the run.
        scripts: where classes go that MONAI does not have.

    Returns:
        The content of ``configs/inference.json``.
    """
    files = f"sorted(glob.glob(@dataset_dir + '/{_PATTERN[run.opened.image_dims]}'))"
    return {
        "imports": ["$import glob", "$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/predictions'",
        "model_file": "$@bundle_root + '/models/model.pt'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "amp": "$torch.device(@device).type == 'cuda'",
        "num_workers": 0,
        **shared_ids(run),
        "preprocessing": {"_target_": "Compose", "transforms": image_transforms(run, scripts)},
        "dataset": {
            "_target_": "Dataset",
            "data": f"$[{{'image': path}} for path in {files}]",
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": "@num_workers",
        },
        "postprocessing": {"_target_": "Compose", "transforms": _postprocessing(run, scripts)},
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "@model_file",
                "load_dict": {"model": "@network"},
                "map_location": "@device",
                "strict": True,
            },
            {"_target_": "StatsHandler", "iteration_log": False},
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
            "amp": "@amp",
        },
        "run": ["$@evaluator.run()"],
    }


def image_transforms(run: TrainedRun, scripts: BundleScripts) -> list[dict[str, Any]]:
    """The deterministic transforms of an image, in their order.

    Args:
        run: the run.
        scripts: where classes go that MONAI does not have.

    Returns:
        Their definitions.
    """
    steps: list[dict[str, Any]] = run.inference["preprocessing"]["transforms"]
    return plain_transforms(steps, script_of=scripts.add)


def _inferer(run: TrainedRun) -> dict[str, Any]:
    windows = run.inference["windows"]
    if isinstance(windows, dict):
        windows = {name: value for name, value in windows.items() if name != "progress"}
    temperature = run.opened.temperature
    tempered = "" if temperature == 1.0 else " / @calibration_temperature"
    return {
        **({} if temperature == 1.0 else {"calibration_temperature": temperature}),
        "windows": copy.deepcopy(windows),
        "inferer": _BLENDED_PROBS.format(tempered=tempered),
    }


def _postprocessing(run: TrainedRun, scripts: BundleScripts) -> list[dict[str, Any]]:
    values = run.opened.label_values
    dtype = next(name for name, largest in _LARGEST.items() if max(values) <= largest)
    index = {"_target_": "AsDiscreted", "keys": "pred", "argmax": True, "dtype": "$torch.uint8"}
    if len(values) > 1 + _LARGEST["uint8"]:
        index["dtype"] = "$torch.int16"
    steps: list[dict[str, Any]] = [index]
    if run.opened.image_dims == _VOLUME:
        restore = scripts.add("medkd.data.RestoreGeometryd")
        steps.append({"_target_": restore, "keys": "pred", "image_key": "image"})
    elif run.opened.prepares_by("FieldOfViewd"):
        steps.append({"_target_": "MaskIntensityd", "keys": "pred", "mask_key": "mask"})
    if values != list(range(len(values))):
        steps.append(
            {
                "_target_": "MapLabelValued",
                "keys": "pred",
                "orig_labels": list(range(len(values))),
                "target_labels": values,
                "dtype": f"$torch.{dtype}",
            }
        )
    save = {
        "_target_": "SaveImaged",
        "keys": "pred",
        "output_dir": "@output_dir",
        "output_postfix": "segmentation",
        "output_ext": _SUFFIX[run.opened.image_dims],
        "output_dtype": f"$torch.{dtype}",
        # A volume is on its file's grid by now. MONAI 1.6's writer turns that into a plane's if it
        # is not told the grid to resample to, and refuses sagittal and coronal scans.
        "resample": run.opened.image_dims == _VOLUME,
        "mode": "nearest",
        "separate_folder": False,
        "print_log": False,
    }
    return [*steps, save]
