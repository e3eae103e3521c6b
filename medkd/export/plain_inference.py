"""The ``inference.json`` of an exported bundle: that of the run, with MONAI alone."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from medkd.export.plain_transforms import plain_transforms

if TYPE_CHECKING:
    from medkd.export.bundle_scripts import BundleScripts
    from medkd.export.trained_run import TrainedRun

__all__ = ["image_transforms", "plain_inference", "shared_ids"]

_MAPS_INFERER = "medkd.predictors.PredictionMapsInferer"
_LARGEST_UINT8 = 256  # classes whose indices fit
_SUFFIX = {2: ".png", 3: ".nii.gz"}
_PATTERN = {2: "*.*", 3: "*.nii*"}
# Ids that only the run's own inference has, or that the bundle says anew.
_REPLACED = (
    *("imports", "bundle_root", "dataset_dir", "file_pattern", "run_dir", "model_file"),
    *("output_dir", "log_file", "device", "amp", "num_workers"),
    *("with_probability", "with_uncertainty", "network", "windows", "inferer", "dataset"),
    *("dataloader", "postprocessing", "handlers", "evaluator", "initialize", "run"),
    *("reading", "geometry", "normalization", "preprocessing"),
)
_LABEL = "@label"
_OF_EACH_KEY = ("keys", "mode", "padding_mode", "align_corners", "dtype")
_PARTS = ("reading", "geometry", "normalization")
# The softmax is taken in every window, and windows are blended as probabilities: so are the run's.
_BLENDED_PROBS = (
    "$lambda image, network, *args, **kwargs: @windows(image, "
    "torch.nn.Sequential(network, torch.nn.Softmax(dim=1)), *args, **kwargs)"
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
        **image_transforms(run, scripts),
        "dataset": {
            "_target_": "Dataset",
            "data": f"$[{{@image: path}} for path in {files}]",
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


def image_transforms(run: TrainedRun, scripts: BundleScripts) -> dict[str, Any]:
    """The deterministic transforms of an image, under the ids that the run has for them.

    Args:
        run: the run.
        scripts: where classes go that MONAI does not have.

    Returns:
        ``reading``, ``geometry``, ``normalization`` and ``preprocessing``, as far as the run has
        them, or the last alone.
    """
    source = run.inference
    parts = {name: source[name] for name in _PARTS if name in source}
    plain = {
        name: [_of_image(one) for one in plain_transforms(transforms, script_of=scripts.add)]
        for name, transforms in parts.items()
    }
    composed = source["preprocessing"]["transforms"]
    if not isinstance(composed, str):  # not an expression of the parts
        composed = plain_transforms(composed, script_of=scripts.add)
    return plain | {"preprocessing": {"_target_": "Compose", "transforms": composed}}


def _of_image(transform: dict[str, Any]) -> dict[str, Any]:
    """A run's transform may name the label beside the image, which is not there in inference."""
    keys = transform.get("keys")
    if not isinstance(keys, list) or _LABEL not in keys:
        return transform
    kept = [position for position, key in enumerate(keys) if key != _LABEL]
    each = {
        name: [value[position] for position in kept]
        for name, value in transform.items()
        if name in _OF_EACH_KEY and isinstance(value, list) and len(value) == len(keys)
    }
    return transform | each


def _inferer(run: TrainedRun) -> dict[str, Any]:
    inferer = run.inference["inferer"]
    if inferer["_target_"] != _MAPS_INFERER:
        return {"inferer": copy.deepcopy(inferer)}
    windows = {k: v for k, v in run.inference["windows"].items() if k != "progress"}
    return {"windows": copy.deepcopy(windows), "inferer": _BLENDED_PROBS}


def _postprocessing(run: TrainedRun, scripts: BundleScripts) -> list[dict[str, Any]]:
    dtype = "uint8" if run.inference["num_classes"] <= _LARGEST_UINT8 else "int16"
    index = {"_target_": "AsDiscreted", "keys": "@pred", "argmax": True, "dtype": f"$torch.{dtype}"}
    if run.opened.image_dims == 3:
        place = {
            "_target_": scripts.add("medkd.data.RestoreGeometryd"),
            "keys": "@pred",
            "image_key": "@image",
        }
    else:
        place = {"_target_": "MaskIntensityd", "keys": "@pred", "mask_key": "@mask"}
    save = {
        "_target_": "SaveImaged",
        "keys": "@pred",
        "output_dir": "@output_dir",
        "output_postfix": "segmentation",
        "output_ext": _SUFFIX[run.opened.image_dims],
        "output_dtype": f"$torch.{dtype}",
        # A volume is on its file's grid by now. MONAI 1.6's writer turns that into a plane's if it
        # is not told the grid to resample to, and refuses sagittal and coronal scans.
        "resample": run.opened.image_dims == 3,
        "mode": "nearest",
        "separate_folder": False,
        "print_log": False,
    }
    has_mask = run.opened.image_dims == 3 or "mask" in run.inference
    return [index, *([place] if has_mask else []), save]
