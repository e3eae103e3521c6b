"""``medkd networks features``: what can be tapped inside the network of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.cli.terminal import format_table, write
from medkd.cli.verb import Verb

if TYPE_CHECKING:
    import argparse

__all__ = ["VERB"]

_EXAMPLE = "example: medkd networks features bundles/end_crd"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "folder of a bundle or of a run, or a configuration with a network and a patch size"
    parser.add_argument("bundle", metavar="BUNDLE", help=text)
    text = "id of the network (default: network_def, the student's)"
    parser.add_argument("--network", metavar="ID", default="network_def", help=text)
    text = "how deep a path may be (default: 1, the modules of the network itself; 0 for all)"
    parser.add_argument("--depth", metavar="N", type=int, default=1, help=text)


def _run(arguments: argparse.Namespace) -> int:
    # MONAI takes seconds to import, which `medkd --help` should not.
    import torch
    from monai.bundle.config_parser import ConfigParser

    from medkd.networks import feature_shapes

    file = _find(Path(arguments.bundle).expanduser())
    parser = ConfigParser(ConfigParser.load_config_file(file))
    for name in (arguments.network, "num_channels", "patch_size"):
        if name not in parser:
            raise ValueError(f"Expected {file} to have `{name}`, but it does not.")
    network: Any = parser.get_parsed_content(arguments.network)
    size = parser.get_parsed_content("patch_size")
    image = torch.zeros(1, parser.get_parsed_content("num_channels"), *size)
    shapes = {
        path: shape
        for path, shape in feature_shapes(network, image).items()
        if arguments.depth == 0 or path.count(".") < arguments.depth
    }
    rows = [
        (path, str(shape[1]), " x ".join(map(str, shape[2:]))) for path, shape in shapes.items()
    ]
    write(format_table(("path", "channels", f"of {' x '.join(map(str, size))}"), rows))
    if arguments.depth:
        write(f"modules within these: --depth {arguments.depth + 1}")
    return 0


def _find(given: Path) -> Path:
    for file in (given, given / "train.json", given / "config.json"):
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"Expected a bundle or a run, but {given} has neither train.json nor config.json."
    )


VERB = Verb(
    name="features",
    help="List the modules inside a bundle's network whose features can be tapped, with shapes.",
    add_arguments=_add_arguments,
    run=_run,
    example=_EXAMPLE,
)
