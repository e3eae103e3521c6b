"""``medkd data convert``: the h5 files of semi-supervised benchmarks as NIfTI with a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.cli.argument_types import names
from medkd.cli.manifest_summary import summarize_manifest
from medkd.cli.terminal import write

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

__all__ = ["add_parser", "run"]

_UNKNOWN = "unknown"
_DESCRIPTION = (
    "Convert the h5 files of UA-MT (left atrium) or SSL4MIS (ACDC) to NIfTI, once: slices are "
    "stacked to volumes, and the lists become the splits of a manifest. These files have lost the "
    "size of their voxels, so it must be stated, or stated to be unknown; then distances are in "
    "voxels."
)
_EXAMPLE = "example: medkd data convert SSL4MIS/data/ACDC --output acdc --spacing unknown"


def add_parser(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to ``medkd data``.

    Args:
        verbs: where to add it.
    """
    text = "Convert the h5 files of UA-MT or SSL4MIS to NIfTI with a manifest."
    parser = verbs.add_parser(
        "convert", help=text, description=_DESCRIPTION, epilog=_EXAMPLE, allow_abbrev=False
    )
    add = parser.add_argument
    add("folder", metavar="DIR", help="the folder of the lists, with the h5 files below it")
    add("--output", metavar="OUT", required=True, help="the folder to write, which must be new")
    text = "sides of a voxel along x, y and z in mm, the same for all volumes; or `unknown`"
    add("--spacing", metavar="MM", nargs="+", required=True, help=text)
    text = "class names: background,left_atrium (by default known for ACDC and the left atrium)"
    add("--labels", metavar="NAMES", type=names, help=text)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
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
    write(manifest.changes)
    write(f"{manifest.num_classes} classes: {', '.join(manifest.class_names)}")
    write(f"{output}: {summarize_manifest(manifest)}")
    write(f"now prove it: medkd data check {output}/manifest.json --dataset_dir {output}")
    return 0


def _read_spacing(texts: Sequence[str]) -> list[float] | None:
    if list(texts) == [_UNKNOWN]:
        return None
    try:
        x, y, z = map(float, texts)
    except ValueError as error:
        raise ValueError(
            "Expected --spacing to be three numbers, the sides of a voxel along x, y and z in mm, "
            f"or `{_UNKNOWN}`, but got {' '.join(texts)}."
        ) from error
    return [x, y, z]
