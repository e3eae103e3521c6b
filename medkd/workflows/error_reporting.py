"""A user's mistake ends in one sentence; the traceback goes to the log."""

from __future__ import annotations

import dis
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

__all__ = ["report_errors_in_one_sentence", "sentence_of"]

_PACKAGE = __name__.split(".", maxsplit=1)[0]
_MESSAGES = (ValueError, TypeError, RuntimeError, OSError, KeyError)


def report_errors_in_one_sentence(log_file: str | Path) -> None:
    """Have errors that medkd raised on purpose shown as one sentence from now on.

    A bundle is run by MONAI's command line, which ends on an error with its traceback, through
    layers a user never heard of. Where medkd raised the error itself, its message was written for
    the user; anything else is a fault of the program, and is shown in full. The exit status is
    non-zero in both cases.

    Args:
        log_file: where the traceback goes.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            sys.stderr.write("\nmedkd: stopped; the same command goes on from here.\n")
            return
        sentence = sentence_of(error)
        if sentence is None:
            sys.__excepthook__(kind, error, trace)
            return
        where = _append_traceback(Path(log_file), error)
        sys.stderr.write(f"\nmedkd: error: {sentence}\n{where}")

    sys.excepthook = hook


def sentence_of(error: BaseException) -> str | None:
    """The message that medkd wrote for its user, if an error or one of its causes is medkd's.

    Args:
        error: what was raised.

    Returns:
        The message, or ``None`` if no error in the chain was raised by medkd's own code.

    Example:
        >>> from medkd.files import sha256_of
        >>> sentence_of(ValueError("raised elsewhere")) is None
        True
    """
    for cause in _chain(error):
        if isinstance(cause, _MESSAGES) and _was_raised_by_medkd(cause) and cause.args:
            # str() of a KeyError quotes its message; of an OSError it repeats number and file.
            position = 1 if isinstance(cause, OSError) and len(cause.args) > 1 else 0
            return str(cause.args[position])
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, the first cause last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = error.__cause__ is None and error.__suppress_context__  # raise ... from None
        error = None if hidden else error.__cause__ or error.__context__


def _was_raised_by_medkd(error: BaseException) -> bool:
    """Whether a ``raise`` of medkd's code made the error, and not a key that a fault looked up."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    code = trace.tb_frame.f_code.co_code
    package = str(trace.tb_frame.f_globals.get("__name__", "")).split(".")[0]
    return package == _PACKAGE and dis.opname[code[trace.tb_lasti]] == "RAISE_VARARGS"


def _append_traceback(path: Path, error: BaseException) -> str:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.writelines(traceback.format_exception(error))
    except OSError:
        # A full disk is one of the errors that are reported here.
        return ""
    return f"The traceback is in {path}.\n"
