"""``medkd data manifest``: make a manifest for a folder of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from medkd.cli.manifest_summary import describe_manifest
from medkd.cli.split_options import add_split_options, read_fractions
from medkd.cli.terminal import write_problem
from medkd.cli.verb import Verb, names
from medkd.errors import ExistingFileError

if TYPE_CHECKING:
    from medkd.data import Manifest

__all__ = ["VERB"]

_DESCRIPTION = (
    "Make a manifest for a folder of images and labels, split by patient. Without patterns the "
    "folder's shape is recognized: imagesTr and labelsTr (Medical Segmentation Decathlon, nnU-Net) "
    "or images and labels, with equal names."
)
_EXAMPLE = (
    r"examples: medkd data manifest Task04_Hippocampus; medkd data manifest photos --image "
    r"'images/*.jpg' --label 'labels/*_vessels.png' --patient '(\d+)[LR]' --labels "
    r"background,vessel"
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dataset_dir", metavar="DIR", help="the folder")
    text = "glob pattern of the images, relative to DIR; again for each further channel of volumes"
    add("--image", metavar="PATTERN", action="append", help=text)
    for name, what in (
        ("label", "the labels"),
        ("label_2nd", "a second observer's labels"),
        ("mask", "the field-of-view masks"),
    ):
        add(f"--{name}", metavar="PATTERN", help=f"glob pattern of {what}, relative to DIR")
    add("--patient", metavar="REGEX", help="group 1 (or `patient`) in an image's path: the patient")
    add("--pairing", metavar="REGEX", help="group 1 (or `id`) in every path: the case id")
    add("--labels", metavar="NAMES", type=names, help="class names: background,vessel")
    add(
        "--label_values",
        metavar="PAIRS",
        type=_pairs,
        help="stored value to class index: 0:0,255:1 (by default those of dataset.json, or the "
        "labels are looked at)",
    )
    add("--channels", metavar="NAMES", type=names, help="channel names of volumes: FLAIR,T1")
    text = "keep images without a label, also those of imagesTs, for training (see bundles/dmd)"
    add("--unlabeled", action="store_true", help=text)
    add_split_options(parser)
    add("--name", help="name of the data set (default: that of dataset.json, or of DIR)")
    add("--output", metavar="FILE", help="the manifest to write (default: name of DIR.json, here)")
    add("--overwrite", action="store_true", help="replace FILE if it exists")


def _run(arguments: argparse.Namespace) -> int:
    """Make the manifest, write it, and say what is in it.

    Args:
        arguments: those of the parser.

    Returns:
        0.

    Raises:
        FileExistsError: if the output exists and is not to be overwritten.
    """
    from medkd.data import FilePatterns, make_manifest, write_manifest

    folder = Path(arguments.dataset_dir).expanduser()
    output = Path(arguments.output or f"{folder.resolve().name}.json")
    if output.exists() and not arguments.overwrite:
        raise ExistingFileError(
            f"Expected a new file for --output, but {output} exists: --overwrite?"
        )
    manifest = make_manifest(
        folder,
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
        channel_names=arguments.channels,
        fractions=read_fractions(arguments),
        seed=arguments.seed,
        unlabeled=arguments.unlabeled,
    )
    write_manifest(manifest, output)
    _warn_about_patients(manifest)
    describe_manifest(manifest, output, dataset_dir=arguments.dataset_dir)
    return 0


def _warn_about_patients(manifest: Manifest) -> None:
    from medkd.data import suggest_patients

    cases = len(manifest.cases)
    patients = len({case.patient for case in manifest.cases})
    if patients == cases:
        guess = suggest_patients([case.paths("image")[0] for case in manifest.cases])
        hint = f" Names suggest --patient '{guess}'." if guess else ""
        write_problem(
            "warning",
            "Without --patient each image counts as its own patient: if a patient has several, one "
            f"{'scan' if manifest.spatial_dims == 3 else 'eye'} may be trained on and another "
            f"tested.{hint}",
        )


def _pairs(text: str) -> dict[int, int]:
    try:
        pairs = [pair.split(":") for pair in text.split(",")]
        return {int(stored): int(index) for stored, index in pairs}
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected pairs such as 0:0,255:1, got {text!r}"
        ) from error


VERB = Verb(
    name="manifest",
    help="Make a manifest for a folder of images and labels, split by patient.",
    add_arguments=_add_arguments,
    run=_run,
    description=_DESCRIPTION,
    example=_EXAMPLE,
)
