"""The ``metadata.json`` of an exported bundle: what the student is, saw, scores and is for."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import medkd
from medkd.files import sha256_of
from medkd.texts import safe_name, safe_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from medkd.data import Manifest
    from medkd.export.trained_run import TrainedRun

__all__ = ["bundle_metadata", "shipped_names"]

_SCHEMA = (
    "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/"
    "meta_schema_20240725.json"
)
_VERSION = "0.1.0"
_PACKAGES = {2: ("pytorch-ignite", "scipy", "Pillow"), 3: ("pytorch-ignite", "scipy", "nibabel")}
_DATA_TYPE = {2: "png, jpg, tif", 3: "nifti"}
_SCORES = ("dice", "mcc", "hd95", "asd", "ece", "brier", "nll")
_INTENDED_USE = (
    "Research on calibrated segmentation of images like those it was trained on. Not a medical "
    "device; not for diagnosis."
)


def shipped_names(manifest: Manifest) -> dict[str, Any]:
    """What classes, channels and the data set are called, and how they are called in metadata.

    MONAI parses ``metadata.json``, and viewers make small letters of its names, so these are safe
    ones and differ; the user's own stand beside them in a file that nothing parses.

    Args:
        manifest: the data set's.

    Returns:
        The content of ``labels.json``: ``dataset`` with ``name`` and ``safe_name``, and of every
        entry of ``labels`` and ``channels`` the ``index`` as well; ``value`` is what label maps
        hold for a label.
    """

    def listed(names: Sequence[str], fallback: str) -> list[dict[str, Any]]:
        both = zip(names, safe_names(names, fallback=fallback), strict=True)
        return [
            {"index": index, "name": name, "safe_name": safe}
            for index, (name, safe) in enumerate(both)
        ]

    labels = [
        entry | {"value": value}
        for entry, value in zip(
            listed(manifest.class_names, "class"), manifest.written_label_values, strict=True
        )
    ]
    return {
        "dataset": {"name": manifest.name, "safe_name": safe_name(manifest.name)},
        "labels": labels,
        "channels": listed([*manifest.channel_names.values()], "channel"),
    }


def bundle_metadata(run: TrainedRun, *, name: str) -> dict[str, Any]:
    """Describe the student from its run, its manifest and its report.

    Args:
        run: the run.
        name: of the bundle.

    Returns:
        The content of ``configs/metadata.json``, valid under MONAI's schema. All that the user
        wrote is in it as :func:`medkd.texts.safe_name` has it.
    """
    manifest = run.manifest
    names = shipped_names(manifest)
    classes, channels = ([one["safe_name"] for one in names[k]] for k in ("labels", "channels"))
    listed = ", ".join(f"{index} {text}" for index, text in enumerate(classes))
    values = zip(run.opened.label_values, classes, strict=True)
    stored = ", ".join(f"{value} {text}" for value, text in values)
    structures = ", ".join(classes[1:])
    return {
        "schema": _SCHEMA,
        "version": _VERSION,
        "changelog": {_VERSION: f"Exported by medkd {medkd.__version__}."},
        "monai_version": _installed("monai"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {
            package: _installed(package) for package in _PACKAGES[run.opened.image_dims]
        },
        "name": name,
        "task": f"Segmentation of {structures}",
        "description": f"One {run.opened.spatial_dims}-D {type(run.opened.network).__name__}"
        f"{_teacher(run)}: segments {structures} in {_images(run)}.",
        "authors": "Trained with medkd",
        "copyright": "Copyright (c) whoever trained it",
        "data_source": f"{names['dataset']['safe_name']}. {safe_name(manifest.source)}".strip(),
        "data_type": _DATA_TYPE[run.opened.image_dims],
        "image_classes": f"{', '.join(channels)}; normalized as "
        "`preprocessing` in configs/inference.json says",
        "label_classes": f"single channel, {stored}",
        "pred_classes": f"{manifest.num_classes} channels of logits, {listed}",
        "eval_metrics": _scores(run),
        "weights_sha256": sha256_of(run.opened.model_file),
        "calibration_temperature": run.opened.record.get("calibration_temperature", 1.0),
        "is_calibrated": run.opened.record.get("is_calibrated", False),
        "intended_use": _INTENDED_USE,
        "references": [safe_name(manifest.citation)] if manifest.citation else [],
        "network_data_format": _data_format(run, classes=classes, channels=channels),
    }


def _teacher(run: TrainedRun) -> str:
    """What it was distilled from; peers that teach each other have no ensemble."""
    count = run.config.get("num_members")
    if count is None:
        return ""
    return ", distilled from one teacher" if count == 1 else ", distilled from an ensemble"


def _images(run: TrainedRun) -> str:
    what = "volumes" if run.opened.image_dims == 3 else "pictures"
    return f"{safe_name(run.manifest.modality)} {what}" if run.manifest.modality else what


def _scores(run: TrainedRun) -> dict[str, Any]:
    """Means over the cases, with what they are means over; empty if the run was not evaluated."""
    scores = run.student_scores
    known = {f"mean_{name}": scores[name]["mean"] for name in _SCORES if name in scores}
    if not known:
        return {}
    about = {name: safe_name(run.metrics[name]) for name in ("dataset", "split")}
    about |= {"num_cases": run.metrics["num_cases"]}
    return {**about, **{name: round(float(value), 4) for name, value in known.items()}}


def _data_format(
    run: TrainedRun, *, classes: Sequence[str], channels: Sequence[str]
) -> dict[str, Any]:
    manifest = run.manifest
    shared = {
        "spatial_shape": [int(size) for size in run.opened.window_size],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
    }
    return {
        "inputs": {
            "image": {
                "type": "image",
                "format": "magnitude" if run.opened.image_dims == 3 else "RGB",
                "modality": safe_name(manifest.modality) or "n/a",
                "num_channels": manifest.num_channels,
                **shared,
                "channel_def": {str(i): text for i, text in enumerate(channels)},
            }
        },
        "outputs": {
            "pred": {
                "type": "logits",
                "format": "segmentation",
                "num_channels": manifest.num_classes,
                **shared,
                "channel_def": {str(i): text for i, text in enumerate(classes)},
            }
        },
    }


def _installed(package: str) -> str:
    """The version without what says how it was built, as in 2.13.0+cpu."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "n/a"
