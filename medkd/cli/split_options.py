"""The options that say how patients are dealt to the splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["add_split_options", "read_fractions"]

_SPLITS = ("train", "validation", "test")


def add_split_options(parser: argparse.ArgumentParser, *, few: str = "") -> None:
    """Add ``--fractions`` and ``--seed``.

    Args:
        parser: where to add them.
        few: what happens by default where there are too few patients to deal.
    """
    parser.add_argument(
        "--fractions",
        metavar=("TRAIN", "VALIDATION", "TEST"),
        type=float,
        nargs=3,
        help=f"shares of the patients (default: 0.7 0.1 0.2{few})",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split (default: 0)")


def read_fractions(arguments: argparse.Namespace) -> dict[str, float] | None:
    """The shares that were asked for.

    Args:
        arguments: those of the parser.

    Returns:
        Split name to its share; ``None`` if none was asked for.
    """
    shares = arguments.fractions
    return dict(zip(_SPLITS, shares, strict=True)) if shares else None
