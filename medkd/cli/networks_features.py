"""``medkd networks features``: what can be tapped inside the network of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from medkd.cli.terminal import aligned, write
from medkd.cli.verb import Verb
from medkd.errors import InvalidValueError, MissingFileError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

__all__ = ["VERB"]

_EXAMPLE = (
    "example: medkd networks features bundles/mtms_kd --overlay swin_unetr_teacher.json "
    "--network member_def --patch_size 64 32 32"
)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "folder of a bundle or of a run, or a configuration with a network and a patch size"
    parser.add_argument("bundle", metavar="BUNDLE", help=text)
    text = "file on top, of the bundle's folder or anywhere; may be given again"
    parser.add_argument("--overlay", metavar="FILE", action="append", default=[], help=text)
    text = "id of the network (default: network_def, the student's; a teacher's is member_def)"
    parser.add_argument("--network", metavar="ID", default="network_def", help=text)
    text = "levels of nesting (default: 1, modules that lie in no other; 0 for all)"
    parser.add_argument("--depth", metavar="N", type=int, default=1, help=text)
    text = "another patch than the bundle's, such as one that a transformer takes: 64 32 32"
    parser.add_argument("--patch_size", metavar="N", type=int, nargs="+", help=text)


def _run(arguments: argparse.Namespace) -> int:
    # MONAI takes seconds to import, which `medkd --help` should not.
    import torch
    from monai.bundle.config_parser import ConfigParser

    from medkd.networks import feature_shapes

    if arguments.depth < 0:
        raise InvalidValueError(f"Expected --depth to be zero or more, but got {arguments.depth}.")
    file = _find(Path(arguments.bundle).expanduser())
    files = [file, *(_find_overlay(given, file.parent) for given in arguments.overlay)]
    parser = ConfigParser()
    parser.read_config([str(each) for each in files])
    for name in (arguments.network, "num_channels", "patch_size"):
        if name not in parser:
            raise InvalidValueError(f"Expected {file} to have `{name}`, but it does not.")
    network: Any = parser.get_parsed_content(arguments.network)
    size = parser.get_parsed_content("patch_size")
    if arguments.patch_size:
        size = _checked(arguments.patch_size, num_axes=len(size))
    image = torch.zeros(1, parser.get_parsed_content("num_channels"), *size)
    shapes = feature_shapes(network, image)
    depths = {path: _depth(path, shapes) for path in shapes}
    rows = [
        (path, str(shape[1]), " x ".join(map(str, shape[2:])))
        for path, shape in shapes.items()
        if arguments.depth == 0 or depths[path] <= arguments.depth
    ]
    write(aligned(("path", "channels", f"of {' x '.join(map(str, size))}"), rows))
    if len(rows) < len(shapes):
        write(f"modules within these: --depth {arguments.depth + 1}")
    return 0


def _checked(size: list[int], *, num_axes: int) -> list[int]:
    if len(size) != num_axes or min(size) < 1:
        raise InvalidValueError(
            f"Expected --patch_size to be {num_axes} numbers above zero, as the bundle's has, but "
            f"got {' '.join(map(str, size))}."
        )
    return size


def _depth(path: str, listed: Mapping[str, object]) -> int:
    """How many of the listed modules a path leads through; mere lists of modules are none."""
    parts = path.split(".")
    return sum(".".join(parts[:end]) in listed for end in range(1, len(parts) + 1))


def _find(given: Path) -> Path:
    for file in (given, given / "train.json", given / "config.json"):
        if file.is_file():
            return file
    raise MissingFileError(
        f"Expected a bundle or a run, but {given} has neither train.json nor config.json."
    )


def _find_overlay(given: str, bundle: Path) -> Path:
    places = (bundle / given, Path(given).expanduser())
    for file in places:
        if file.is_file():
            return file
    raise MissingFileError(
        f"Expected --overlay to be a file, but there is neither {places[0]} nor {places[1]}."
    )


VERB = Verb(
    name="features",
    help="List the modules inside a bundle's network whose features can be tapped, with shapes.",
    add_arguments=_add_arguments,
    run=_run,
    example=_EXAMPLE,
)
