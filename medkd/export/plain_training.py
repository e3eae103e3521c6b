"""The ``train.json`` of an exported bundle: the student goes on from where it is, with labels."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from medkd.export.plain_inference import image_transforms, shared_ids

if TYPE_CHECKING:
    from medkd.export.bundle_scripts import BundleScripts
    from medkd.export.trained_run import TrainedRun

__all__ = ["plain_multi_gpu", "plain_training"]

_LABEL = "@label"
_BOTH = ["@image", _LABEL]
_FINE_TUNING = 0.1  # of the learning rate that the student was trained with
_LEARNING_RATE = 0.001  # where a run has none
_ROTATION = 0.2
_FOLDERS = {2: "images", 3: "imagesTr"}, {2: "labels", 3: "labelsTr"}
_PATTERN = {2: "*.*", 3: "*.nii*"}
_OF_VIEWER = ("CopyItemsd", "DeleteItemsd")  # MONAI Label's `image_path` is there in inference only


def plain_training(run: TrainedRun, scripts: BundleScripts) -> dict[str, Any]:
    """Write down supervised training from ``models/model.pt``, as MONAI Label calls it.

    The best epoch on the validation images takes the place of ``models/model.pt``; while there are
    too few labels to validate with, the last one does.

    Args:
        run: the run.
        scripts: where classes go that MONAI does not have.

    Returns:
        The content of ``configs/train.json``.
    """
    return {
        **_settings(run),
        **shared_ids(run),
        "label": "label",
        "loss": {"_target_": "DiceCELoss", "to_onehot_y": True, "softmax": True},
        "optimizer": {
            "_target_": "torch.optim.AdamW",
            "params": "$@network.parameters()",
            "lr": "@learning_rate",
            "weight_decay": 0.0001,
        },
        **_labeled(image_transforms(run, scripts)),
        "train": _train(run),
        "validate": _validate(),
        "run": ["$@train::trainer.run()"],
    }


def plain_multi_gpu() -> dict[str, Any]:
    """Write down what several processes change, an overlay for ``torchrun``.

    Cases are shared out for training. Every process validates on all, for there may be fewer of
    those than processes, which MONAI's sampler refuses. All call the savers, as ignite wants it,
    and the first one's writes.

    Returns:
        The content of ``configs/multi_gpu_train.json``.
    """
    return {
        "imports": [
            "$import glob",
            "$import os",
            "$import torch",
            "$import monai",
            "$import torch.distributed as dist",
        ],
        "device": "$torch.device('cuda:' + os.environ['LOCAL_RANK'] if torch.cuda.is_available() "
        "else 'cpu')",
        "network": {
            "_target_": "torch.nn.parallel.DistributedDataParallel",
            "module": "$@network_def.to(@device)",
            "device_ids": "$[@device] if torch.device(@device).type == 'cuda' else None",
        },
        "is_main": "$dist.get_rank() == 0",
        "train::sampler": {
            "_target_": "torch.utils.data.DistributedSampler",
            "dataset": "@train::dataset",
            "shuffle": True,
        },
        "train::dataloader::sampler": "@train::sampler",
        "train::dataloader::shuffle": False,
        "initialize": [
            "$dist.is_initialized() or dist.init_process_group('nccl' if torch.cuda.is_available() "
            "else 'gloo')",
            "$torch.cuda.is_available() and torch.cuda.set_device(@device)",
            "$monai.utils.set_determinism(seed=@seed)",
        ],
        "finalize": ["$dist.is_initialized() and dist.destroy_process_group()"],
    }


def _settings(run: TrainedRun) -> dict[str, Any]:
    images, labels = (names[run.spatial_dims] for names in _FOLDERS)
    pattern = _PATTERN[run.spatial_dims]
    return {
        "imports": ["$import glob", "$import torch", "$import monai"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/data'",
        "images": f"$sorted(glob.glob(@dataset_dir + '/{images}/{pattern}'))",
        "labels": f"$sorted(glob.glob(@dataset_dir + '/{labels}/{pattern}'))",
        "cases": "$[{@image: i, @label: l} for i, l in zip(@images, @labels, strict=True)]",
        "partitions": "$monai.data.partition_dataset(@cases, ratios=[0.8, 0.2], shuffle=True)",
        "output_dir": "$@bundle_root + '/models'",
        "model_file": "$@bundle_root + '/models/model.pt'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "amp": "$torch.device(@device).type == 'cuda'",
        "is_main": True,
        "seed": 0,
        "num_epochs": 50,
        "val_interval": 1,
        "batch_size": 1,
        "num_patches": 4,
        "num_workers": 0,
        "cache_rate": 1.0,
        "learning_rate": _FINE_TUNING * float(run.config.get("learning_rate", _LEARNING_RATE)),
        "flip_probability": run.config.get("flip_probability", 0.0),
        "rotate_range": run.config.get("rotate_range", [_ROTATION] * (2 * run.spatial_dims - 3)),
    }


def _labeled(parts: dict[str, Any]) -> dict[str, Any]:
    """The image's transforms, with what they do to a label beside them, as one list ``steps``."""
    composed = parts["preprocessing"]["transforms"]
    labeled = {name: _with_label(v) for name, v in parts.items() if name != "preprocessing"}
    steps = composed if isinstance(composed, str) else _with_label(composed)
    return labeled | {"steps": steps}


def _with_label(transforms: list[dict[str, Any]]) -> list[dict[str, Any]]:
    both: list[dict[str, Any]] = []
    for transform in transforms:
        target = transform["_target_"]
        if target in _OF_VIEWER:
            continue
        one = copy.deepcopy(transform)
        if target == "Orientationd":
            one["keys"] = _BOTH
        elif target == "Spacingd":
            one |= {"keys": _BOTH, "mode": [transform.get("mode", "bilinear"), "nearest"]}
        both.append(one)
        if target == "LoadImaged" and transform["keys"] == "@image":
            both.append(_reading_label(transform))
    return both


def _reading_label(transform: dict[str, Any]) -> dict[str, Any]:
    one = copy.deepcopy(transform) | {"keys": _LABEL}
    if isinstance(one.get("reader"), dict) and "num_channels" in one["reader"]:
        one["reader"]["num_channels"] = 1
    return one


def _train(run: TrainedRun) -> dict[str, Any]:
    return {
        "augmentation": _augmentation(run),
        "preprocessing": {
            "_target_": "Compose",
            "transforms": "$@steps + @train::augmentation",
        },
        "dataset": {
            "_target_": "CacheDataset",
            "data": "$@partitions[0]",
            "transform": "@train::preprocessing",
            "cache_rate": "@cache_rate",
            "progress": False,
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@train::dataset",
            "batch_size": "@batch_size",
            "shuffle": True,
            "num_workers": "@num_workers",
        },
        "inferer": {"_target_": "SimpleInferer"},
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "@model_file",
                "load_dict": {"model": "@network"},
                "map_location": "@device",
                "strict": True,
            },
            {
                "_target_": "ValidationHandler",
                "_disabled_": "$len(@validate::dataset::data) == 0",
                "validator": "@validate::evaluator",
                "epoch_level": True,
                "interval": "@val_interval",
            },
            {
                "_target_": "CheckpointSaver",
                "_disabled_": "$len(@validate::dataset::data) > 0",
                "save_dir": "@output_dir",
                "save_dict": {"model": "@network"},
                "save_final": True,
                "final_filename": "model.pt",
            },
            {
                "_target_": "StatsHandler",
                "_disabled_": "$not @is_main",
                "tag_name": "train_loss",
                "output_transform": "$monai.handlers.from_engine(['loss'], first=True)",
            },
        ],
        "trainer": {
            "_target_": "SupervisedTrainer",
            "device": "@device",
            "max_epochs": "@num_epochs",
            "train_data_loader": "@train::dataloader",
            "network": "@network",
            "optimizer": "@optimizer",
            "loss_function": "@loss",
            "inferer": "@train::inferer",
            "amp": "@amp",
            "train_handlers": "@train::handlers",
        },
    }


def _augmentation(run: TrainedRun) -> list[dict[str, Any]]:
    return [
        {"_target_": "SelectItemsd", "keys": _BOTH},
        {"_target_": "SpatialPadd", "keys": _BOTH, "spatial_size": "@patch_size"},
        {
            "_target_": "RandCropByLabelClassesd",
            "keys": _BOTH,
            "label_key": _LABEL,
            "spatial_size": "@patch_size",
            "num_classes": "@num_classes",
            "num_samples": "@num_patches",
            "warn": False,
        },
        {
            "_target_": "RandFlipd",
            "keys": _BOTH,
            "prob": "@flip_probability",
            "spatial_axis": 0,
        },
        {
            "_target_": "RandAffined",
            "keys": _BOTH,
            "prob": 0.5,
            "rotate_range": "@rotate_range",
            "scale_range": [0.1] * run.spatial_dims,
            "mode": ["bilinear", "nearest"],
            "padding_mode": "border",
        },
        {"_target_": "RandScaleIntensityd", "keys": "@image", "factors": 0.2, "prob": 0.5},
        {"_target_": "RandShiftIntensityd", "keys": "@image", "offsets": 0.2, "prob": 0.5},
    ]


def _validate() -> dict[str, Any]:
    return {
        "preprocessing": {
            "_target_": "Compose",
            "transforms": "$@steps + [monai.transforms.SelectItemsd([@image, @label])]",
        },
        "dataset": {
            "_target_": "CacheDataset",
            "data": "$@partitions[1]",
            "transform": "@validate::preprocessing",
            "cache_rate": "@cache_rate",
            "progress": False,
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@validate::dataset",
            "batch_size": 1,
            "shuffle": False,
            "num_workers": "@num_workers",
        },
        "inferer": "@inferer",
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {
                    "_target_": "AsDiscreted",
                    "keys": ["@pred", _LABEL],
                    "argmax": [True, False],
                    "to_onehot": "@num_classes",
                }
            ],
        },
        "handlers": [
            {"_target_": "StatsHandler", "_disabled_": "$not @is_main", "iteration_log": False},
            {
                "_target_": "CheckpointSaver",
                "save_dir": "@output_dir",
                "save_dict": {"model": "@network"},
                "save_key_metric": True,
                "key_metric_filename": "model.pt",
            },
        ],
        "key_metric": {
            "val_dice": {
                "_target_": "MeanDice",
                "include_background": False,
                "output_transform": "$monai.handlers.from_engine([@pred, @label])",
            }
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@validate::dataloader",
            "network": "@network",
            "inferer": "@validate::inferer",
            "postprocessing": "@validate::postprocessing",
            "key_val_metric": "@validate::key_metric",
            "val_handlers": "@validate::handlers",
            "amp": "@amp",
        },
    }
