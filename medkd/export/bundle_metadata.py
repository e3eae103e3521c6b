"""The ``metadata.json`` of an exported bundle: what the student is, saw, scores and is for."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import medkd

if TYPE_CHECKING:
    from medkd.export.trained_run import TrainedRun

__all__ = ["bundle_metadata"]

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


def bundle_metadata(run: TrainedRun, *, name: str) -> dict[str, Any]:
    """Describe the student from its run, its manifest and its report.

    Args:
        run: the run.
        name: of the bundle.

    Returns:
        The content of ``configs/metadata.json``, valid under MONAI's schema.
    """
    manifest = run.manifest
    listed = ", ".join(f"{index} {text}" for index, text in enumerate(manifest.class_names))
    structures = ", ".join(manifest.class_names[1:])
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
        "data_source": " ".join(filter(None, (f"{manifest.name}.", manifest.source))),
        "data_type": _DATA_TYPE[run.opened.image_dims],
        "image_classes": f"{', '.join(manifest.channel_names.values())}; normalized as "
        "`preprocessing` in configs/inference.json says",
        "label_classes": f"single channel, {listed}",
        "pred_classes": f"{manifest.num_classes} channels of logits, {listed}",
        "eval_metrics": _scores(run),
        "intended_use": _INTENDED_USE,
        "references": [manifest.citation] if manifest.citation else [],
        "network_data_format": _data_format(run),
    }


def _teacher(run: TrainedRun) -> str:
    """What it was distilled from; peers that teach each other have no ensemble."""
    count = run.config.get("num_members")
    if count is None:
        return ""
    return ", distilled from one teacher" if count == 1 else ", distilled from an ensemble"


def _images(run: TrainedRun) -> str:
    what = "volumes" if run.opened.image_dims == 3 else "pictures"
    return f"{run.manifest.modality} {what}" if run.manifest.modality else what


def _scores(run: TrainedRun) -> dict[str, Any]:
    """Means over the cases, with what they are means over; empty if the run was not evaluated."""
    scores = run.student_scores
    known = {f"mean_{name}": scores[name]["mean"] for name in _SCORES if name in scores}
    if not known:
        return {}
    about = {name: run.metrics[name] for name in ("dataset", "split", "num_cases")}
    return {**about, **{name: round(float(value), 4) for name, value in known.items()}}


def _data_format(run: TrainedRun) -> dict[str, Any]:
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
                "modality": manifest.modality or "n/a",
                "num_channels": manifest.num_channels,
                **shared,
                "channel_def": {str(i): text for i, text in manifest.channel_names.items()},
            }
        },
        "outputs": {
            "pred": {
                "type": "logits",
                "format": "segmentation",
                "num_channels": manifest.num_classes,
                **shared,
                "channel_def": {str(i): text for i, text in enumerate(manifest.class_names)},
            }
        },
    }


def _installed(package: str) -> str:
    """The version without what says how it was built, as in 2.13.0+cpu."""
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return "n/a"
