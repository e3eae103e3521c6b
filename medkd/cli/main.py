"""The entry point: which verb, and one sentence instead of a traceback."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from medkd import __version__
from medkd.cli import (
    data_check,
    data_convert,
    data_from_dicom,
    data_manifest,
    export,
    networks_features,
    plan,
    predict,
    report,
)
from medkd.cli.terminal import write_problem

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_INTERRUPTED = 130  # what a shell reports for a command stopped by Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``medkd`` command.

    Args:
        argv: the arguments after the command's name; those of the process by default.

    Returns:
        The exit code: 0 if all is well, 1 if something is to be mended or went wrong. Wrong usage
        leaves with 2 through :class:`SystemExit`, as argparse has it.

    Example:
        >>> main(["data", "check", "no_such_manifest.json", "--dataset_dir", "."])
        1
    """
    arguments = _make_parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        write_problem("error", "Stopped.")
        return _INTERRUPTED
    except OSError as error:
        write_problem("error", _describe(error))
    except (ValueError, TypeError, RuntimeError) as error:
        write_problem("error", str(error))
    return 1


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="medkd",
        allow_abbrev=False,
        description="Distil an ensemble of segmentation networks into one fast student.",
    )
    parser.add_argument("--version", action="version", version=f"medkd {__version__}")
    nouns = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    data = nouns.add_parser("data", help="data sets and their manifests", allow_abbrev=False)
    verbs = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (data_check, data_convert, data_from_dicom, data_manifest):
        module.VERB.add_to(verbs)
    networks = nouns.add_parser("networks", help="what is inside a network", allow_abbrev=False)
    networks_features.VERB.add_to(
        networks.add_subparsers(title="commands", metavar="COMMAND", required=True)
    )
    for module in (export, plan, predict, report):
        module.VERB.add_to(nouns)
    return parser


def _describe(error: OSError) -> str:
    """Our own sentence, or the system's with the file it is about."""
    if error.errno is None:
        return str(error)
    sentence = error.strerror or str(error)
    name = error.filename
    return f"{sentence}: {name}" if name and str(name) not in sentence else sentence
