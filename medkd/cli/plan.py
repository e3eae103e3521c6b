"""``medkd plan``: from a folder of volumes to a bundle that is made for it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from medkd.cli.terminal import aligned, write
from medkd.cli.verb import Verb
from medkd.errors import InvalidValueError
from medkd.files import bundle_names

if TYPE_CHECKING:
    import argparse

    from medkd.data import Manifest

__all__ = ["VERB"]

_METHOD = "end_kl"
_WITH_UNLABELED = "dmd"
_SPLITS = ("train", "validation", "test")
_SHOWN = ("spacing", "patch_size", "batch_size", "channels", "strides", "normalization")
_EXAMPLE = "example: medkd plan Task04_Hippocampus --method end_kl --output my_bundle --memory 8"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "data",
        metavar="DIR_OR_MANIFEST",
        help="the data set's folder, of a shape that `medkd data manifest` recognizes, or a "
        "manifest",
    )
    text = "folder of the manifest's files (default: the manifest's own); not needed for a folder"
    add("--dataset_dir", metavar="DIR", help=text)
    text = (
        f"how the student is made (default: {_METHOD}); dmd also learns from images without a "
        "label, mtms_kd makes a small network"
    )
    add("--method", choices=bundle_names(), default=_METHOD, help=text)
    add("--output", metavar="DIR", required=True, help="the bundle's folder, which must be new")
    text = "memory that a training step may take, on the GPU or in the computer (default: 8)"
    add("--memory", metavar="GIB", type=float, default=8.0, help=text)
    add("--num_members", metavar="N", type=int, help="members of the ensemble")
    text = "group 1 (or `patient`) in an image's path: the patient; for a folder only"
    add("--patient", metavar="REGEX", help=text)
    text = "replace DIR if `medkd plan` wrote it, with all that is in it"
    add("--overwrite", action="store_true", help=text)


def _run(arguments: argparse.Namespace) -> int:
    """Measure, choose, write, and say what was chosen.

    Args:
        arguments: those of the parser.

    Returns:
        0.

    Raises:
        FileExistsError: if the output exists and is not to be overwritten.
        ValueError: if the data set is one of pictures, or cannot be planned for, or MONAI would
            rewrite the path of a folder.
    """
    # MONAI takes seconds to import, which `medkd --help` should not.
    from medkd.planning import (
        check_dataset_dir,
        check_output,
        plan_bundle,
        take_fingerprint,
        write_bundle,
    )

    check_output(arguments.output, overwrite=arguments.overwrite)
    manifest, folder = _find(Path(arguments.data).expanduser(), arguments)
    check_dataset_dir(folder)
    sizes = {split: len(manifest.split_cases(split)) for split in _SPLITS}
    plan = plan_bundle(
        take_fingerprint(manifest, folder),
        method=arguments.method,
        memory=arguments.memory,
        num_members=arguments.num_members,
        num_cases=sizes["train"] + sizes["validation"],
    )
    path = write_bundle(
        plan,
        manifest,
        dataset_dir=folder,
        output=arguments.output,
        overwrite=arguments.overwrite,
    )
    write(aligned(("id", "value"), [(name, str(plan[name])) for name in _SHOWN]))
    write(f"{path}: why these numbers is in its README.md")
    config_file = shlex.quote(str(path / "train.json"))
    write(f"now train: python -m monai.bundle run training --config_file {config_file}")
    return 0


def _find(given: Path, arguments: argparse.Namespace) -> tuple[Manifest, Path]:
    """The manifest, read or made, and the folder of its files."""
    from medkd.data import FilePatterns, make_manifest, read_manifest

    if given.is_dir():
        if arguments.dataset_dir is not None:
            raise InvalidValueError(
                f"Expected a manifest with --dataset_dir {arguments.dataset_dir}, but got the "
                f"folder {given}."
            )
        patterns = FilePatterns(patient=arguments.patient)
        unlabeled = arguments.method == _WITH_UNLABELED
        return make_manifest(given, patterns, unlabeled=unlabeled), given
    if arguments.patient is not None:
        raise InvalidValueError(
            f"Expected a folder with --patient, but got the manifest {given}, which states them."
        )
    folder = given.parent if arguments.dataset_dir is None else Path(arguments.dataset_dir)
    return read_manifest(given), folder.expanduser()


VERB = Verb(
    name="plan",
    help="Measure a data set of volumes and write a ready bundle for it, every number explained.",
    add_arguments=_add_arguments,
    run=_run,
    example=_EXAMPLE,
)
