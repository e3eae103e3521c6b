"""The ``train.json`` of an exported bundle: the student goes on from where it is, with labels."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import TYPE_CHECKING, Any

from medkd.export.plain_inference import image_transforms, shared_ids

if TYPE_CHECKING:
    from medkd.export.bundle_scripts import BundleScripts
    from medkd.export.trained_run import TrainedRun

__all__ = ["plain_multi_gpu", "plain_training"]

_LABEL = "label"
_BOTH = ["image", _LABEL]
_FINE_TUNING = 0.1  # of the learning rate that the student was trained with
_LEARNING_RATE = 0.001  # where a run has none
_ROTATION = 0.2
_FOLDERS = {2: "images", 3: "imagesTr"}, {2: "labels", 3: "labelsTr"}
_PATTERN = {2: "*.*", 3: "*.nii*"}
# What moves voxels, and so the label's, too, to MONAI's interpolation where a run states none.
_MODES = {"Orientationd": None, "Spacingd": "bilinear", "Resized": "area"}
_OF_VIEWER = ("CopyItemsd", "DeleteItemsd")  # MONAI Label's `image_path` is there in inference only


def plain_training(run: TrainedRun, scripts: BundleScripts) -> dict[str, Any]:
    """Write down supervised training from ``models/model.pt``, as MONAI Label calls it.

    The best epoch on the validation images takes the place of ``models/model.pt``; while there are
    too few labels to validate with, the last one does. What is the same for every run stands in
    ``templates/train.json``.

    Args:
        run: the run.
        scripts: where classes go that MONAI does not have.

    Returns:
        The content of ``configs/train.json``.
    """
    of_run = {
        **_settings(run),
        **shared_ids(run),
        "steps": _with_label(image_transforms(run, scripts), run.opened.label_values),
    }
    config = _template("train.json")
    axis = run.opened.slice_axis
    if axis is not None:
        config["train"]["augmentation"] = _in_slices(config["train"]["augmentation"], axis)
    return _with_ids(config, of_run, before="label")


def plain_multi_gpu() -> dict[str, Any]:
    """Write down what several processes change, an overlay for ``torchrun``.

    Cases are shared out for training. Every process validates on all, for there may be fewer of
    those than processes, which MONAI's sampler refuses. All call the savers, as ignite wants it,
    and the first one's writes.

    Returns:
        The content of ``configs/multi_gpu_train.json``.
    """
    return _template("multi_gpu_train.json")


def _template(name: str) -> dict[str, Any]:
    file = resources.files("medkd.export").joinpath("templates", name)
    template: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return template


def _with_ids(config: dict[str, Any], ids: dict[str, Any], *, before: str) -> dict[str, Any]:
    """Ids of the run where a reader looks for them: after the paths, before the training."""
    names = list(config)
    place = names.index(before)
    first, last = names[:place], names[place:]
    return {name: config[name] for name in first} | ids | {name: config[name] for name in last}


def _in_slices(augmentation: list[dict[str, Any]], axis: int) -> list[dict[str, Any]]:
    """Patches are one voxel thick, and lose that axis."""
    size = f"$[*@window_size[:{axis}], 1, *@window_size[{axis}:]]"
    changed = []
    for transform in augmentation:
        if "spatial_size" in transform:
            changed.append(transform | {"spatial_size": size})
        else:
            changed.append(transform)
        if transform["_target_"] == "RandCropByLabelClassesd":
            changed.append({"_target_": "SqueezeDimd", "keys": _BOTH, "dim": axis + 1})
    return changed


def _settings(run: TrainedRun) -> dict[str, Any]:
    dims, image_dims = run.opened.spatial_dims, run.opened.image_dims
    images, labels = (names[image_dims] for names in _FOLDERS)
    return {
        "images": f"$sorted(glob.glob(@dataset_dir + '/{images}/{_PATTERN[image_dims]}'))",
        "labels": f"$sorted(glob.glob(@dataset_dir + '/{labels}/{_PATTERN[image_dims]}'))",
        "learning_rate": _FINE_TUNING * float(run.config.get("learning_rate", _LEARNING_RATE)),
        "flip_probability": run.config.get("flip_probability", 0.0),
        "rotate_range": run.config.get("rotate_range", [_ROTATION] * (2 * dims - 3)),
        "scale_range": [0.1] * dims,
    }


def _with_label(transforms: list[dict[str, Any]], label_values: list[int]) -> list[dict[str, Any]]:
    """The image's transforms, with what they do to a label beside them."""
    both: list[dict[str, Any]] = []
    for transform in transforms:
        target = transform["_target_"]
        if target in _OF_VIEWER:
            continue
        one = copy.deepcopy(transform)
        if target in _MODES:
            keys = [one["keys"]] if isinstance(one["keys"], str) else list(one["keys"])
            mode = one.get("mode", _MODES[target])
            modes = list(mode) if isinstance(mode, list) else [mode] * len(keys)
            one["keys"] = [*keys, _LABEL]
            if mode is not None:
                one["mode"] = [*modes, "nearest"]
        both.append(one)
        if target == "LoadImaged" and transform["keys"] == "image":
            both += _reading_label(transform, label_values)
    return both


def _reading_label(transform: dict[str, Any], label_values: list[int]) -> list[dict[str, Any]]:
    """How a label is read, and how its values become the indices that the network is taught."""
    one = copy.deepcopy(transform) | {"keys": _LABEL}
    if isinstance(one.get("reader"), dict) and "num_channels" in one["reader"]:
        one["reader"]["num_channels"] = 1
    indices = list(range(len(label_values)))
    if label_values == indices:
        return [one]
    index = {
        "_target_": "MapLabelValued",
        "keys": _LABEL,
        "orig_labels": label_values,
        "target_labels": indices,
    }
    return [one, index]
