"""``medkd data from-dicom``: series with contours or segments as NIfTI with a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.cli.argument_types import names
from medkd.cli.manifest_summary import summarize_manifest
from medkd.cli.terminal import write

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]

_SPLITS = ("train", "validation", "test")
_DESCRIPTION = (
    "Convert DICOM series with structures (RTSTRUCT) or segmentations (SEG) about them to NIfTI "
    "images and label maps with a manifest, split by patient. Cases and patients get numbers in "
    "the order of their paths; no name, number, date or UID of a patient is written or shown. "
    "Series that are not one volume are left out, and the manifest says why."
)
_EXAMPLE = "example: medkd data from-dicom exports --output lungs --structures GTV-1,Lung_L,Lung_R"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to ``medkd data``.

    Args:
        verbs: where to add it.
    """
    text = "Convert DICOM series with RTSTRUCT or SEG to NIfTI with a manifest."
    parser = verbs.add_parser(
        "from-dicom", help=text, description=_DESCRIPTION, epilog=_EXAMPLE, allow_abbrev=False
    )
    add = parser.add_argument
    add("folder", metavar="DIR", help="folder with the series at any depth, or a zip archive")
    add("--output", metavar="OUT", required=True, help="the folder to write, which must be new")
    text = (
        "names of the structures that become classes (default: all of a known name that every "
        "series has; other names may be a patient's and are neither used nor shown)"
    )
    add("--structures", metavar="NAMES", type=names, help=text)
    text = "name of the data set (default: DICOM series)"
    add("--name", default="DICOM series", help=text)
    add(
        "--fractions",
        metavar=("TRAIN", "VALIDATION", "TEST"),
        type=float,
        nargs=3,
        help="shares of the patients (default: 0.7 0.1 0.2; of fewer than three, one split `all`)",
    )
    add("--seed", type=int, default=0, help="seed of the split (default: 0)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Convert, with a progress bar, and say what was decided.

    Args:
        arguments: those of the parser.

    Returns:
        0.

    Raises:
        FileExistsError: if the output exists.
        ValueError: if nothing is a labeled volume, or no structure is known.
    """
    from medkd.data.dicom import convert_dicom

    output, shares = arguments.output, arguments.fractions
    manifest = convert_dicom(
        arguments.folder,
        output,
        structures=arguments.structures,
        name=arguments.name,
        fractions=dict(zip(_SPLITS, shares, strict=True)) if shares else None,
        seed=arguments.seed,
    )
    write(manifest.changes)
    write(f"{manifest.num_classes} classes: {', '.join(manifest.class_names)}")
    write(f"{output}: {summarize_manifest(manifest)}")
    write(f"now prove it: medkd data check {output}/manifest.json --dataset_dir {output}")
    return 0
