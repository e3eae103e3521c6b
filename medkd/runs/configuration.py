"""The configuration that is being run, and what is put into one from outside."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from monai.bundle.workflows import ConfigWorkflow

from medkd.errors import FailureError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monai.bundle.config_parser import ConfigParser

__all__ = ["place_values", "running_parser"]


def running_parser() -> ConfigParser:
    """The parser of the MONAI workflow that is evaluating the calling expression.

    An expression in a bundle sees the ids it names, and MONAI has no name for the rest: not which
    ids exist (so a misspelt override passes in silence) and not what a further run should be
    configured with. The workflow itself is there, further up the call stack. It is looked for once,
    by :func:`medkd.runs.this_run`; all else gets the run, and so the parser, by name.

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


def place_values(parser: ConfigParser, values: Mapping[str, Any]) -> None:
    """Give ids values that the parser hands on as they are.

    A path that a person states is no part of a configuration: as one of its texts, ``$`` at its
    beginning would be evaluated, and ``#`` rewritten.

    Args:
        parser: the configuration, with all overrides that are parsed. What was made by it is
            forgotten.
        values: id to value, of any type.

    Example:
        >>> from monai.bundle import ConfigParser
        >>> parser = ConfigParser({"folder": "runs", "file": "$@folder + '/a'"})
        >>> place_values(parser, {"folder": "$1#2"})
        >>> parser.get_parsed_content("file")
        '$1#2/a'
    """
    parser.parse()
    parser.ref_resolver.resolved_content.update(values)
