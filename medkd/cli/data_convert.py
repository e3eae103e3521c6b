"""``medkd data convert``: the h5 files of semi-supervised benchmarks as NIfTI with a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.cli.manifest_summary import describe_manifest
from medkd.cli.verb import Verb, names
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["VERB"]

_UNKNOWN = "unknown"
_DESCRIPTION = (
    "Convert the h5 files of UA-MT (left atrium) or SSL4MIS (ACDC) to NIfTI, once: slices are "
    "stacked to volumes, and the lists become the splits of a manifest. These files have lost the "
    "size of their voxels, so it must be stated, or stated to be unknown; then distances are in "
    "voxels."
)
_EXAMPLE = "example: medkd data convert SSL4MIS/data/ACDC --output acdc --spacing unknown"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", metavar="DIR", help="the folder of the lists, with the h5 files below it")
    add("--output", metavar="OUT", required=True, help="the folder to write, which must be new")
    text = "sides of a voxel along x, y and z in mm, the same for all volumes; or `unknown`"
    add("--spacing", metavar="MM", nargs="+", required=True, help=text)
    text = "class names: background,left_atrium (by default known for ACDC and the left atrium)"
    add("--labels", metavar="NAMES", type=names, help=text)


def _run(arguments: argparse.Namespace) -> int:
    """Convert, with a progress bar, and say what was decided.

    Args:
        arguments: those of the parser.

    Returns:
        0.

    Raises:
        FileExistsError: if the output exists.
        ValueError: if the spacing or the files are not understood.
    """
    from medkd.data import convert_ssl4mis

    output = arguments.output
    manifest = convert_ssl4mis(
        arguments.folder,
        output,
        spacing=_read_spacing(arguments.spacing),
        class_names=arguments.labels,
    )
    describe_manifest(manifest, f"{output}/manifest.json", dataset_dir=output)
    return 0


def _read_spacing(texts: Sequence[str]) -> list[float] | None:
    if list(texts) == [_UNKNOWN]:
        return None
    try:
        x, y, z = map(float, texts)
    except ValueError as error:
        raise InvalidValueError(
            "Expected --spacing to be three numbers, the sides of a voxel along x, y and z in mm, "
            f"or `{_UNKNOWN}`, but got {' '.join(texts)}."
        ) from error
    return [x, y, z]


VERB = Verb(
    name="convert",
    help="Convert the h5 files of UA-MT or SSL4MIS to NIfTI with a manifest.",
    add_arguments=_add_arguments,
    run=_run,
    description=_DESCRIPTION,
    example=_EXAMPLE,
)
