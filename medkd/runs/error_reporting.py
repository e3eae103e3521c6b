"""A user's mistake ends in one sentence; the traceback goes to the log."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from medkd.errors import sentence_of
from medkd.texts import printable

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["report_errors_in_one_sentence"]


def report_errors_in_one_sentence(log_file: str | Path | None) -> None:
    """Have errors that medkd raised on purpose shown as one sentence from now on.

    A bundle is run by MONAI's command line, which ends on an error with its traceback, through
    layers a user never heard of. A :class:`medkd.errors.MedkdError` was written for the user;
    anything else is a fault of the program, and is shown in full. The exit status is non-zero in
    both cases.

    Args:
        log_file: where the traceback goes; nowhere if ``None``.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            sys.stderr.write("\nmedkd: stopped; the same command goes on from here.\n")
            return
        sentence = sentence_of(error)
        if sentence is None:
            sys.__excepthook__(kind, error, trace)
            return
        where = "" if log_file is None else _append_traceback(Path(log_file), error)
        sys.stderr.write(printable(f"\nmedkd: error: {sentence}\n{where}", sys.stderr.encoding))

    sys.excepthook = hook


def _append_traceback(path: Path, error: BaseException) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(traceback.format_exception(error))
    except OSError:
        # A full disk is one of the errors that are reported here.
        return ""
    return f"The traceback is in {path}.\n"
