"""The configuration that is being run, for the stages that its expressions call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from monai.bundle.workflows import ConfigWorkflow

if TYPE_CHECKING:
    from monai.bundle.config_parser import ConfigParser

__all__ = ["running_parser"]


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
    raise RuntimeError(
        "Expected to be called by an expression of a bundle, e.g. through `python -m monai.bundle "
        "run training --config_file bundles/end_kl/train.json`, but there is no workflow."
    )
