"""The template's files with a plan's values in them."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from medkd.errors import MissingKeyError
from medkd.planning.bundle_template import METHODS
from medkd.planning.inference_config import inference_config
from medkd.planning.slices_choice import SLICES
from medkd.texts import safe_name, safe_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from medkd.planning.bundle_plan import BundlePlan

__all__ = ["planned_configs", "replace_ids"]

_RANGES = {"CT": [-1, 1]}
_Z_SCORES = [-10, 10]
_FORMATS = {"CT": "hounsfield"}


def planned_configs(
    plan: BundlePlan, *, bundle_dir: Path, dataset_dir: Path, image_dir: Path
) -> dict[str, dict[str, Any]]:
    """Every JSON file of the bundle.

    Args:
        plan: what was chosen.
        bundle_dir: where the bundle will be.
        dataset_dir: the data set's folder.
        image_dir: the folder of its images, which inference segments by default.

    Returns:
        File name relative to the bundle's folder to its content, ids in the template's order.

    Raises:
        KeyError: if the template misses an id.
    """
    configs = copy.deepcopy(plan.template.configs)
    run = f"runs/{bundle_dir.name}"
    shared = {"bundle_root": str(bundle_dir), "num_channels": plan["num_channels"]}
    shared |= {name: plan[name] for name in ("num_classes", "spacing", "patch_size")}
    train = {
        **shared,
        "dataset_dir": str(dataset_dir),
        "manifest": "$@bundle_root + '/manifest.json'",
        "output_dir": run,
        **{name: choice.value for name, choice in plan.choices.items()},
    }
    if configs["train.json"].get("member_overlays"):
        overlays = configs["train.json"]["member_overlays"][: plan["num_members"]]
        train["member_overlays"] = overlays
    replace_ids(configs["train.json"], train)
    if plan.slices:
        slices = {name: choice.value for name, choice in plan.slices.items()}
        replace_ids(configs[SLICES], {"output_dir": f"{run}_slices", **slices})
    frame = configs["inference.json"] | {
        "bundle_root": str(bundle_dir),
        "dataset_dir": str(image_dir),
        "run_dir": run,
    }
    configs["inference.json"] = inference_config(configs["train.json"], frame)
    configs["metadata.json"] |= _metadata(plan, configs["metadata.json"])
    return configs


def replace_ids(config: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Replace values of a configuration by their ids, in place; the order stays.

    Args:
        config: the configuration.
        values: id, ``::`` between levels, to value.

    Raises:
        KeyError: if there is no such id.

    Example:
        >>> config = {"a": 1, "b": {"c": 2}}
        >>> replace_ids(config, {"b::c": 3})
        >>> config
        {'a': 1, 'b': {'c': 3}}
    """
    for name, value in values.items():
        *sections, last = name.split("::")
        place = config
        for section in sections:
            place = place[section]
        if last not in place:
            raise MissingKeyError(f"Expected the template to have the id {name!r}, but got none.")
        place[last] = copy.deepcopy(value)


def _metadata(plan: BundlePlan, template: Mapping[str, Any]) -> dict[str, Any]:
    """MONAI parses metadata, too, so names in it are safe ones; manifest.json has the others."""
    fingerprint, title = plan.fingerprint, METHODS[plan.method].title
    dataset = safe_name(fingerprint.dataset)
    names = ["background", *(entry.name for entry in fingerprint.classes)]
    classes = safe_names(names, fallback="class")
    listed = ", ".join(f"{index} {name}" for index, name in enumerate(classes))
    channels = safe_names([one.name for one in fingerprint.channels], fallback="channel")
    shape = [f"{factor}*n" if factor > 1 else "n" for factor in plan.factors]
    data = copy.deepcopy(template["network_data_format"])
    data["inputs"]["image"] |= {
        "format": _FORMATS.get(fingerprint.modality, "magnitude"),
        "modality": fingerprint.modality,
        "num_channels": len(channels),
        "spatial_shape": shape,
        "value_range": _RANGES.get(fingerprint.modality, _Z_SCORES),
        "channel_def": {str(index): name for index, name in enumerate(channels)},
    }
    data["outputs"]["pred"] |= {
        "num_channels": len(classes),
        "spatial_shape": shape,
        "channel_def": {str(index): name for index, name in enumerate(classes)},
    }
    return {
        "version": "0.1.0",
        "changelog": {"0.1.0": "Planned by `medkd plan`."},
        "name": f"{title}, for {dataset}",
        "task": f"Segmentation of {', '.join(classes[1:])}",
        "data_source": f"{dataset}, as in manifest.json",
        "image_classes": f"{', '.join(channels)}; see `normalization` of train.json",
        "label_classes": f"single channel, {listed}",
        "pred_classes": f"{len(classes)} channels of logits, {listed}",
        "network_data_format": data,
    }
