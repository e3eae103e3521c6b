"""The configuration that is being run, for the stages that its expressions call."""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any

from monai.bundle.config_parser import ConfigParser
from monai.bundle.workflows import ConfigWorkflow

from medkd.errors import FailureError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["merged_parser", "place_values", "running_parser"]


def running_parser() -> ConfigParser:
    """The parser of the MONAI workflow that is evaluating the calling expression.

    An expression in a bundle sees the ids it names, and nothing tells it of the rest: not which
    ids exist (so a misspelt override passes in silence) and not what a further run should be
    configured with. The workflow itself is there, further up the call stack.

    Returns:
        The parser, overrides included.

    Raises:
        RuntimeError: if the caller is not an expression of a configuration that MONAI runs.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, ConfigWorkflow):
            return caller.parser
        frame = frame.f_back
    raise FailureError(
        "Expected to be called by an expression of a bundle, e.g. through `python -m monai.bundle "
        "run training --config_file bundles/end_kl/train.json`, but there is no workflow."
    )


def merged_parser(*on_top: Mapping[str, Any]) -> ConfigParser:
    """A parser of its own, of the running configuration with overrides on top.

    What it makes is apart from what the workflow makes, which a parser does once for each id.

    Args:
        *on_top: ids, ``::`` between levels, to values; the last wins.

    Returns:
        The parser, without the bundle's metadata.
    """
    config = {k: v for k, v in running_parser().get().items() if k != ConfigParser.meta_key}
    parser = ConfigParser(copy.deepcopy(config))
    for overrides in on_top:
        parser.update(copy.deepcopy(dict(overrides)))
    return parser


def place_values(parser: ConfigParser, values: Mapping[str, Any]) -> None:
    """Give ids values that the parser hands on as they are.

    A path that a person states is no part of a configuration: as one of its texts, ``$`` at its
    beginning would be evaluated, and ``#`` rewritten.

    Args:
        parser: the configuration, with all overrides that are parsed. What was made by it is
            forgotten.
        values: id to value, of any type.

    Example:
        >>> parser = ConfigParser({"folder": "runs", "file": "$@folder + '/a'"})
        >>> place_values(parser, {"folder": "$1#2"})
        >>> parser.get_parsed_content("file")
        '$1#2/a'
    """
    parser.parse()
    parser.ref_resolver.resolved_content.update(values)
