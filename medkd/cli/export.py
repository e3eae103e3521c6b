"""``medkd export``: the student of a run for MONAI Label, the Model Zoo and other runtimes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from medkd.cli.terminal import write
from medkd.cli.verb import Verb
from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    import argparse

__all__ = ["VERB"]

_BUNDLES = ("monailabel", "zoo")
_NETWORKS = ("torchscript", "onnx")
_OPTIONS = {"name": _BUNDLES, "manifest": _BUNDLES, "image": _NETWORKS}
_DESCRIPTION = (
    "Write the student of a finished run for others: an app folder for MONAI Label, a bundle in "
    "the layout of MONAI's Model Zoo, or the network alone as TorchScript or ONNX. What is written "
    "is proved to segment as the run does."
)
_EXAMPLE = "example: medkd export runs/end_kl --to monailabel --output my_app"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run_dir", metavar="RUN", help="folder of the run")
    add("--to", choices=[*_BUNDLES, *_NETWORKS], required=True, help="what to write")
    add("--output", metavar="PATH", required=True, help="where to, which must be new")
    text = "name of the student in the viewer (monailabel, zoo; default: after the data set)"
    add("--name", help=text)
    text = "manifest of the data set, if the one that RUN names is not there (monailabel, zoo)"
    add("--manifest", metavar="FILE", help=text)
    text = "image to compare on (torchscript, onnx; default: one of the run's data set)"
    add("--image", metavar="FILE", help=text)


def _run(arguments: argparse.Namespace) -> int:
    """Export, and say what was proved and how to use it.

    Args:
        arguments: those of the parser.

    Returns:
        0.

    Raises:
        ValueError: if an option does not go with ``--to``.
    """
    for option, formats in _OPTIONS.items():
        if getattr(arguments, option) is not None and arguments.to not in formats:
            raise InvalidValueError(
                f"Expected --{option} with --to {' or '.join(formats)}, but got it with --to "
                f"{arguments.to}."
            )
    {
        "monailabel": _to_monailabel,
        "zoo": _to_zoo,
        "torchscript": _to_network,
        "onnx": _to_network,
    }[arguments.to](arguments)
    return 0


def _to_monailabel(arguments: argparse.Namespace) -> None:
    # MONAI takes seconds to import, which `medkd --help` should not.
    from medkd.export import export_monailabel

    app = export_monailabel(
        arguments.run_dir,
        arguments.output,
        name=arguments.name,
        manifest=arguments.manifest,
    )
    write(f"{app.app_dir}: {app.proof}")
    if app.agreement is not None:
        write(str(app.agreement))
    write(f"how to install the server is in {app.app_dir}/README.md")
    write(f"now start it: {app.server_command}")


def _to_zoo(arguments: argparse.Namespace) -> None:
    from medkd.export import export_bundle

    proof = export_bundle(
        arguments.run_dir,
        arguments.output,
        name=arguments.name,
        manifest=arguments.manifest,
    )
    write(f"{arguments.output}: {proof}")
    write(
        f"now use it: cd {shlex.quote(arguments.output)} && python -m monai.bundle run "
        "--config_file configs/inference.json --dataset_dir IMAGES --output_dir PREDICTIONS"
    )


def _to_network(arguments: argparse.Namespace) -> None:
    from medkd.export import export_onnx, export_torchscript

    function = export_onnx if arguments.to == "onnx" else export_torchscript
    exported = function(arguments.run_dir, arguments.output, image=arguments.image)
    write(
        f"{exported.path}: logits differ from PyTorch's by at most {exported.max_difference:.1e} "
        f"of the largest, on {exported.num_windows} windows of a real image"
    )


VERB = Verb(
    name="export",
    help="Write the student of a run for MONAI Label, the Model Zoo, TorchScript or ONNX.",
    add_arguments=_add_arguments,
    run=_run,
    description=_DESCRIPTION,
    example=_EXAMPLE,
)
