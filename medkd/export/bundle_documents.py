"""The texts of an exported bundle: README, licences, logging."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING

import medkd
from medkd.errors import MissingFileError
from medkd.texts import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from medkd.export.trained_run import TrainedRun

__all__ = ["bundle_documents"]

_LOGGING = """\
[loggers]
keys=root

[handlers]
keys=console

[formatters]
keys=plain

[logger_root]
level=INFO
handlers=console

[handler_console]
class=StreamHandler
level=INFO
formatter=plain
args=(sys.stderr,)

[formatter_plain]
format=%(asctime)s %(levelname)s %(name)s: %(message)s
"""


def bundle_documents(run: TrainedRun, metadata: Mapping[str, Any]) -> dict[str, str]:
    """Write the texts of a bundle.

    Args:
        run: the run.
        metadata: of the bundle.

    Returns:
        File name relative to the bundle's folder to its text.

    Raises:
        FileNotFoundError: if medkd was installed without its licence.
    """
    return {
        "LICENSE": _license(),
        "configs/logging.conf": _LOGGING,
        "docs/README.md": _readme(run, metadata),
        "docs/data_license.txt": _data_license(run),
    }


def _license() -> str:
    files = distribution("medkd").files or []
    places = [Path(str(file.locate())) for file in files if file.name == "LICENSE"]
    for place in (*places, Path(medkd.__file__).parents[1] / "LICENSE"):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    raise MissingFileError("Expected medkd to be installed with its LICENSE, but there is none.")


def _data_license(run: TrainedRun) -> str:
    manifest = run.manifest
    lines = [
        f"Trained on {manifest.name}, which is not part of this bundle.",
        f"Licence of the data: {manifest.license or 'not stated in its manifest'}",
        f"Source: {manifest.source or 'not stated in its manifest'}",
    ]
    if manifest.citation:
        lines.append(f"Citation: {manifest.citation}")
    return "\n".join(lines) + "\n"


def _readme(run: TrainedRun, metadata: Mapping[str, Any]) -> str:
    manifest = run.manifest
    kind = "volumes" if run.opened.image_dims == 3 else "pictures"
    return "\n".join(
        [
            f"# {metadata['name']}",
            "",
            markdown(metadata["description"]),
            "",
            "## Data",
            "",
            f"{markdown(manifest.name)}: {markdown(manifest.description) or kind}",
            "",
            f"Source: {markdown(manifest.source) or 'n/a'} Licence: "
            f"{markdown(manifest.license) or 'n/a'} See "
            "`data_license.txt`. "
            f"{_split_sizes(run)}",
            "",
            "## Preprocessing",
            "",
            _preprocessing(run),
            "",
            "## Performance",
            "",
            _performance(run),
            "",
            "## Use",
            "",
            "In this folder, with MONAI, pytorch-ignite, nibabel, scipy and Pillow installed:",
            "",
            "```",
            "python -m monai.bundle run --config_file configs/inference.json --dataset_dir IMAGES "
            "--output_dir PREDICTIONS",
            "python -m monai.bundle run --config_file configs/train.json --dataset_dir DATA",
            "```",
            "",
            "The first writes label maps on the grid of each image, in the values of the data "
            f"set's own labels: {_classes(run)}. Where "
            "`configs/metadata.json` and a viewer have another name, `labels.json` has both. An "
            "image of several channels is one file. The second goes on from `models/model.pt`, and "
            f"replaces it, with images and labels of these values in {_folders(run)}.",
            "",
            "## Calibration",
            "",
            _calibration(run),
            "",
            "## Intended use and limitations",
            "",
            metadata["intended_use"],
            "Images of other scanners, protocols or patients than those above may be segmented "
            "wrongly, and nothing here says when. A bundle's JSON is code: run only what you "
            "trust.",
            "",
            "## References",
            "",
            *([f"- {markdown(manifest.citation)}"] if manifest.citation else []),
            "- MONAI: https://monai.io",
            "",
        ]
    )


def _classes(run: TrainedRun) -> str:
    names = zip(run.opened.label_values, run.manifest.class_names, strict=True)
    return ", ".join(f"{value} {markdown(name)}" for value, name in names)


def _calibration(run: TrainedRun) -> str:
    record = run.opened.record
    if not record.get("is_calibrated"):
        return (
            "No temperature was fitted: probabilities are those of the network as it was trained."
        )
    where = "within the weights" if record["is_folded"] else "before the softmax, in `inferer`"
    return (
        f"Probabilities are at the temperature {record['calibration_temperature']:.4g}, fitted on "
        f"validation cases and applied {where}; the scores above are of what is here, of weights "
        f"with the SHA-256 `{record['sha256']}`. Those that training puts in their place are "
        "uncalibrated until a temperature is fitted for them."
    )


def _folders(run: TrainedRun) -> str:
    suffix = "Tr" if run.opened.image_dims == 3 else ""
    return f"`DATA/images{suffix}` and `DATA/labels{suffix}`"


def _split_sizes(run: TrainedRun) -> str:
    sizes = ", ".join(f"{markdown(name)} {len(ids)}" for name, ids in run.manifest.splits.items())
    return f"Cases: {sizes}, split by patient."


def _preprocessing(run: TrainedRun) -> str:
    windows = " x ".join(str(size) for size in run.opened.window_size)
    if run.opened.image_dims == 2:
        return f"See `preprocessing` in `configs/inference.json`. Windows of {windows} pixels."
    spacing = " x ".join(f"{size:g}" for size in run.inference.get("spacing", ()))
    said = {
        "Orientationd": "turned to right, anterior, superior",
        "Spacingd": f"resampled to {spacing} mm",
        "Resized": f"resized to {windows} pixels a slice",
    }
    steps = [words for name, words in said.items() if run.opened.prepares_by(name)]
    how = "" if run.opened.slice_axis is None else ", and segmented slice by slice"
    return (
        f"Volumes are {', '.join([*steps, 'normalized'])} as `configs/inference.json` says{how}. "
        f"Windows of {windows} voxels."
    )


def _performance(run: TrainedRun) -> str:
    scores = run.student_scores
    if not scores:
        return "The run was not evaluated."
    rows = [
        f"| {markdown(name)} | {value['mean']:.4f} | "
        f"{value['ci95'][0]:.4f} to {value['ci95'][1]:.4f} |"
        for name, value in scores.items()
        if isinstance(value, dict) and value.get("ci95") and value.get("mean") is not None
    ]
    return "\n".join(
        [
            f"Means over the {run.metrics['num_cases']} cases of split "
            f"{markdown(run.metrics['split'])} of {markdown(run.metrics['dataset'])}, with 95 % "
            "confidence intervals. Distances in mm, entropies and nll in nats.",
            "",
            "| score | mean | 95 % interval |",
            "|---|---|---|",
            *rows,
        ]
    )
