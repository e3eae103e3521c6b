"""The configuration that is being run, and what is put into one from outside."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING

from monai.bundle.workflows import ConfigWorkflow

from medkd.errors import FailureError

if TYPE_CHECKING:
    from monai.bundle.config_parser import ConfigParser

__all__ = ["LiteralPath", "running_parser"]


class LiteralPath(os.PathLike[str]):
    """A path that MONAI's parser takes as it is, whatever its text begins with.

    Of a text, the parser runs what follows a ``$``, replaces what follows a ``%`` and rewrites
    ``#``. Of an object it does nothing.

    Args:
        path: the path.

    Example:
        >>> from monai.bundle import ConfigParser
        >>> parser = ConfigParser({"folder": LiteralPath("$out#1"), "file": "$@folder + '/a.txt'"})
        >>> parser.get_parsed_content("file")
        '$out#1/a.txt'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

    def __fspath__(self) -> str:
        """The text, for :mod:`os` and :mod:`pathlib`."""
        return self._path

    def __str__(self) -> str:
        return self._path

    def __add__(self, other: str) -> str:
        """The text with more behind it, as expressions of bundles have it."""
        return self._path + other


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
