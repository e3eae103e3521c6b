"""The README of a planned bundle: every number that was chosen, and why."""

from __future__ import annotations

import json
import math
import shlex
from typing import TYPE_CHECKING

from medkd.planning.bundle_template import METHODS
from medkd.planning.case_measures import SAMPLE_SIZE
from medkd.planning.slices_choice import SLICES
from medkd.planning.spacing_choice import resampled_shape
from medkd.texts import markdown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from medkd.planning.bundle_plan import BundlePlan
    from medkd.planning.choice import Choice

__all__ = ["readme_text"]

_GIB = 2**30
_MAP_COPIES = 4  # of the class maps, while a whole volume is scored


def readme_text(plan: BundlePlan, *, bundle_dir: Path, image_dir: Path) -> str:
    """What a person should know about the bundle, in Markdown.

    Args:
        plan: what was chosen.
        bundle_dir: where the bundle will be.
        image_dir: folder that inference segments by default.

    Returns:
        The text.
    """
    title = f"# {METHODS[plan.method].title}, for {markdown(plan.fingerprint.dataset)}"
    parts = [
        title,
        "Made by `medkd plan`. Every number below is in `train.json`; change it there, or on the "
        "command line with `--<id> <value>`.",
        "## Run it",
        _commands(plan, bundle_dir, image_dir),
        "## What was measured",
        _measured(plan),
        "## What was chosen, and why",
        _chosen(plan.choices),
        *_in_slices(plan, bundle_dir),
        "## What was left as it is",
        _left(plan),
        "Not a medical device. A bundle's JSON is code: run only what you trust.",
    ]
    return "\n\n".join(parts) + "\n"


def _commands(plan: BundlePlan, bundle_dir: Path, image_dir: Path) -> str:
    run = "python -m monai.bundle run"
    train, inference = (_quoted(bundle_dir / name) for name in ("train.json", "inference.json"))
    evaluated = _quoted(bundle_dir / "train.json", bundle_dir / "evaluate.json")
    return "\n".join(
        [
            "```",
            f"{run} training --config_file {train}",
            f"{run} --config_file {evaluated} --split validation",
            f"{run} --config_file {inference} --dataset_dir {_quoted(image_dir)}",
            "```",
            "",
            f"The first {METHODS[plan.method].training}, and writes the report to "
            f"`runs/{bundle_dir.name}/report`; after a kill the same command goes on. If the "
            "bundle is moved, say where it is with `--bundle_root`.",
        ]
    )


def _quoted(*paths: Path) -> str:
    """One path, or the list of several, as a shell hands it on whatever folders are called."""
    if len(paths) == 1:
        return shlex.quote(str(paths[0]))
    quoted = ",".join(repr(str(path)) for path in paths)
    return f'"[{quoted}]"' if not set(quoted) & set('"$`!\\') else shlex.quote(f"[{quoted}]")


def _measured(plan: BundlePlan) -> str:
    fingerprint = plan.fingerprint
    unlabeled = ""
    if fingerprint.num_unlabeled:
        unlabeled = f" {fingerprint.num_unlabeled} of them have no label."
    sizes = sorted(fingerprint.shapes, key=math.prod)
    spacings = sorted(fingerprint.spacings, key=math.prod)
    lines = [
        f"The {fingerprint.num_cases} training cases (`fingerprint.json`); axes are right-left, "
        f"posterior-anterior, inferior-superior.{unlabeled}",
        "",
        f"- Volumes of {_range(sizes)} voxels, {_range(spacings)} mm; {_by(plan.shape)} "
        "voxels in the middle after resampling. What is not air or zero extends over "
        f"{_by(fingerprint.body)} mm in the middle.",
        "- Stored as "
        + ", ".join(f"{name} ({count})" for name, count in fingerprint.orientations.items())
        + "; every volume is turned to RAS, and results are turned back.",
        f"- {fingerprint.modality}: {markdown(fingerprint.modality_source)}.",
        "",
        "| channel | mean | std | 0.5 % | 99.5 % | exactly zero |",
        "|---|---|---|---|---|---|",
        *(
            f"| {markdown(c.name)} | {c.mean:g} | {c.std:g} | {c.low:g} | {c.high:g} | "
            f"{c.zero_share:.0%} |"
            for c in fingerprint.channels
        ),
        "",
        f"Intensities are those inside the structures; percentiles are of at most {SAMPLE_SIZE:,} "
        "voxels of each case, evenly spaced.",
        "",
        "| structure | in cases | share of voxels | volume in the middle |",
        "|---|---|---|---|",
        *(
            f"| {markdown(c.name)} | {c.cases} | {c.voxel_share:.3%} | {c.volume:g} ml |"
            for c in fingerprint.classes
        ),
    ]
    absent = [markdown(c.name) for c in fingerprint.classes if not c.cases]
    if absent:
        lines += ["", f"**No training case shows {', '.join(absent)}: it cannot be learned.**"]
    return "\n".join(lines)


def _chosen(choices: Mapping[str, Choice]) -> str:
    return "\n".join(
        f"- `{name}` {json.dumps(choice.value)}: {choice.reason}"
        for name, choice in choices.items()
    )


def _in_slices(plan: BundlePlan, bundle_dir: Path) -> list[str]:
    if not plan.slices:
        return []
    files = _quoted(bundle_dir / "train.json", bundle_dir / SLICES)
    return [
        "## In slices",
        f"`{SLICES}` on top trains networks of two axes on the axial slices of the same volumes, "
        "and puts their results back into volumes:",
        f"```\npython -m monai.bundle run training --config_file {files}\n```",
        _chosen(plan.slices),
        "With `swin_unetr_teacher.json` behind it the teacher is a transformer, which takes more "
        "memory, with `student_2.json` the student is wider, and with "
        "`contrastive_representation.json` features are contrasted with a memory bank (CRD); give "
        "each an `--output_dir` of its own.",
    ]


def _left(plan: BundlePlan) -> str:
    largest = max(math.prod(shape) for shape in _resampled(plan))
    maps = _MAP_COPIES * 4 * largest * plan["num_classes"] / _GIB
    inferer = plan.template.train["inferer"]
    return "\n".join(
        [
            f"- Sliding window: windows of `patch_size`, {inferer['sw_batch_size']} at a time "
            "(without gradients they take less than a training step), overlapping by "
            f"{inferer['overlap']:.0%} with {inferer['mode']} weights, so that no seams are seen.",
            f"- Scoring a whole volume takes about {maps:.2f} GiB beside the network: "
            f"{_MAP_COPIES} copies of its class maps.",
            "- No crop to the foreground: the label map covers the whole scan, and patches are "
            "drawn where the structures are.",
            "- Learning rate, loss, intensity augmentation: those of the template.",
        ]
    )


def _resampled(plan: BundlePlan) -> list[tuple[int, ...]]:
    cases = zip(plan.fingerprint.shapes, plan.fingerprint.spacings, strict=True)
    return [resampled_shape(shape, mm, plan["spacing"]) for shape, mm in cases]


def _range(ordered: Sequence[tuple[float, ...]]) -> str:
    first, last = _by(ordered[0]), _by(ordered[-1])
    return first if first == last else f"{first} to {last}"


def _by(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
