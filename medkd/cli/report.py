"""``medkd report``: compare runs, or one run on several data sets, on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.cli.terminal import write
from medkd.cli.verb import Verb

if TYPE_CHECKING:
    import argparse

__all__ = ["VERB"]

_EXAMPLE = "example: medkd report runs/seed_0 runs/seed_1 --output runs/comparison"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "runs",
        metavar="RUN",
        nargs="+",
        help="folder of a run (all of its reports are taken) or of one report",
    )
    add("--output", metavar="DIR", required=True, help="where the page goes")
    add(
        "--baseline",
        metavar="RUN",
        help="the RUN that the others are tested against (default: the first)",
    )


def _run(arguments: argparse.Namespace) -> int:
    """Read the reports, write the page, and say where it is.

    Args:
        arguments: ``runs``, ``output`` and ``baseline``.

    Returns:
        0.
    """
    # matplotlib takes a second to import, which `medkd --help` should not.
    from medkd.reports import write_comparison

    page = write_comparison(arguments.runs, arguments.output, baseline=arguments.baseline)
    write(f"Comparison: {page}")
    return 0


VERB = Verb(
    name="report",
    help="Compare the reports of runs on one page: scores, differences, degradation under shift.",
    add_arguments=_add_arguments,
    run=_run,
    example=_EXAMPLE,
)
