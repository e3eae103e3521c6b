"""``medkd report``: compare runs, or one run on several data sets, on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from medkd.cli.terminal import write

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run"]

_EXAMPLE = "example: medkd report runs/seed_0 runs/seed_1 --output runs/comparison"


def add_parser(nouns: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to ``medkd``.

    Args:
        nouns: where to add it.
    """
    text = "Compare the reports of runs on one page: scores, differences, degradation under shift."
    parser = nouns.add_parser(
        "report", help=text, description=text, epilog=_EXAMPLE, allow_abbrev=False
    )
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
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
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
