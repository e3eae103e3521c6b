"""What every verb of the ``medkd`` command is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

__all__ = ["Verb", "names"]


@dataclass(frozen=True)
class Verb:
    """One verb: how it is called, what it takes and what it does.

    Args:
        name: as it is typed.
        help: one line for the list of verbs.
        add_arguments: adds what it takes to its parser.
        run: does it, and returns the exit code.
        description: more about it; by default ``help``.
        example: how it may be called.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    description: str = ""
    example: str | None = None

    def add_to(self, verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
        """Let a command have the verb.

        Args:
            verbs: those of the command.
        """
        parser = verbs.add_parser(
            self.name,
            help=self.help,
            description=self.description or self.help,
            epilog=self.example,
            allow_abbrev=False,
        )
        self.add_arguments(parser)
        parser.set_defaults(run=self.run)


def names(text: str) -> list[str]:
    """Names with commas between.

    Args:
        text: the names.

    Returns:
        Each without the space around it.

    Example:
        >>> names("background, vessel")
        ['background', 'vessel']
    """
    return [name.strip() for name in text.split(",")]
