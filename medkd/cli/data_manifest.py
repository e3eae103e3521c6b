"""``medkd data manifest``: make a manifest for a folder of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path

from medkd.cli.terminal import write, write_problem

__all__ = ["add_parser", "run"]

_SPLITS = ("train", "validation", "test")
_EXAMPLE = (
    r"example: medkd data manifest photos --image 'images/*.jpg' --label 'labels/*_vessels.png' "
    r"--patient '(\d+)[LR]' --labels background,vessel --output photos.json"
)


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to ``medkd data``.

    Args:
        verbs: where to add it.
    """
    text = "Make a manifest for a folder of images and labels, split by patient."
    parser = verbs.add_parser(
        "manifest", help=text, description=text, epilog=_EXAMPLE, allow_abbrev=False
    )
    add = parser.add_argument
    add("dataset_dir", metavar="DIR", help="the folder")
    for name, required, what in (
        ("image", True, "images"),
        ("label", True, "labels"),
        ("label_2nd", False, "a second observer's labels"),
        ("mask", False, "field-of-view masks"),
    ):
        text = f"glob pattern of the {what}, relative to DIR"
        add(f"--{name}", metavar="PATTERN", required=required, help=text)
    add("--patient", metavar="REGEX", help="group 1 (or `patient`) in an image's path: the patient")
    add("--pairing", metavar="REGEX", help="group 1 (or `id`) in every path: the case id")
    add("--labels", metavar="NAMES", type=_names, help="class names: background,vessel")
    add(
        "--label_values",
        metavar="PAIRS",
        type=_pairs,
        help="stored value to class index: 0:0,255:1 (by default the labels are looked at)",
    )
    add(
        "--fractions",
        metavar=("TRAIN", "VALIDATION", "TEST"),
        type=float,
        nargs=3,
        default=(0.7, 0.1, 0.2),
        help="shares of the patients (default: 0.7 0.1 0.2)",
    )
    add("--seed", type=int, default=0, help="seed of the split (default: 0)")
    add("--name", help="name of the data set (default: name of DIR)")
    add("--output", metavar="FILE", required=True, help="the manifest to write")
    add("--overwrite", action="store_true", help="replace FILE if it exists")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the manifest, write it, and say what is in it.

    Args:
        arguments: those of the parser.

    Returns:
        0.

    Raises:
        FileExistsError: if the output exists and is not to be overwritten.
    """
    from medkd.data import FilePatterns, make_manifest, write_manifest

    output = Path(arguments.output)
    if output.exists() and not arguments.overwrite:
        raise FileExistsError(
            f"Expected a new file for --output, but {output} exists: --overwrite?"
        )
    manifest = make_manifest(
        arguments.dataset_dir,
        FilePatterns(
            image=arguments.image,
            label=arguments.label,
            label_2nd=arguments.label_2nd,
            mask=arguments.mask,
            pairing=arguments.pairing,
            patient=arguments.patient,
        ),
        name=arguments.name,
        class_names=arguments.labels,
        label_values=arguments.label_values,
        fractions=dict(zip(_SPLITS, arguments.fractions, strict=True)),
        seed=arguments.seed,
    )
    write_manifest(manifest, output)
    if arguments.patient is None:
        write_problem(
            "warning",
            "Without --patient each image counts as its own patient: if a patient has several, one "
            "eye may be trained on and the other tested.",
        )
    splits = ", ".join(f"{name} {len(ids)}" for name, ids in manifest.splits.items())
    patients = len({case.patient for case in manifest.cases})
    write(f"{output}: {len(manifest.cases)} cases of {patients} patients ({splits})")
    write(f"now prove it: medkd data check {output} --dataset_dir {arguments.dataset_dir}")
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


def _pairs(text: str) -> dict[int, int]:
    try:
        pairs = [pair.split(":") for pair in text.split(",")]
        return {int(stored): int(index) for stored, index in pairs}
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected pairs such as 0:0,255:1, got {text!r}"
        ) from error
