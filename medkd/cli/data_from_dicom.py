"""``medkd data from-dicom``: series with contours or segments as NIfTI with a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.cli.manifest_summary import describe_manifest
from medkd.cli.split_options import add_split_options, read_fractions
from medkd.cli.verb import Verb, names

if TYPE_CHECKING:
    import argparse

__all__ = ["VERB"]

_DESCRIPTION = (
    "Convert DICOM series with structures (RTSTRUCT) or segmentations (SEG) about them to NIfTI "
    "images and label maps with a manifest, split by patient. Cases and patients get numbers in "
    "the order of their paths; no name, number, date or UID of a patient is written or shown. "
    "Series that are not one volume are left out, and the manifest says why."
)
_EXAMPLE = "example: medkd data from-dicom exports --output lungs --structures GTV-1,Lung_L,Lung_R"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
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
    add_split_options(parser, few="; of fewer than three, one split `all`")


def _run(arguments: argparse.Namespace) -> int:
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

    output = arguments.output
    manifest = convert_dicom(
        arguments.folder,
        output,
        structures=arguments.structures,
        name=arguments.name,
        fractions=read_fractions(arguments),
        seed=arguments.seed,
    )
    describe_manifest(manifest, f"{output}/manifest.json", dataset_dir=output)
    return 0


VERB = Verb(
    name="from-dicom",
    help="Convert DICOM series with RTSTRUCT or SEG to NIfTI with a manifest.",
    add_arguments=_add_arguments,
    run=_run,
    description=_DESCRIPTION,
    example=_EXAMPLE,
)
