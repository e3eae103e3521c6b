"""What medkd raises on purpose, with a message written for its user."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ExistingFileError",
    "FailureError",
    "FileError",
    "InvalidTypeError",
    "InvalidValueError",
    "MedkdError",
    "MissingFileError",
    "MissingFolderError",
    "MissingKeyError",
    "sentence_of",
]


class MedkdError(Exception):
    """What medkd raises on purpose, with a message written for its user.

    Each of its classes is also the built-in one of its kind, so ``except ValueError`` catches a
    wrong value whoever refused it.
    """


class InvalidValueError(MedkdError, ValueError):
    """A value or a shape is not what was expected."""


class InvalidTypeError(MedkdError, TypeError):
    """A type or a dtype is not what was expected."""


class FailureError(MedkdError, RuntimeError):
    """Something cannot be done, or not now."""


class MissingKeyError(MedkdError, KeyError):
    """A name is looked up that is not there."""

    # A KeyError quotes its message.
    __str__ = Exception.__str__


class FileError(MedkdError, OSError):
    """A file or folder cannot be used.

    With the number of a system's error it is also the built-in class of that number, as
    :class:`OSError` itself has it.

    Example:
        >>> import errno
        >>> isinstance(FileError(errno.EACCES, "No way in."), PermissionError)
        True
    """

    def __new__(cls, *args: object) -> FileError:
        """Choose the class by the system's number, if there is one."""
        number = args[0] if len(args) > 1 else None
        system = type(OSError(number, "")) if isinstance(number, int) else OSError
        if not issubclass(cls, system):
            cls = type(cls.__name__, (cls, system), {"__module__": cls.__module__})  # noqa: PLW0642
        return super().__new__(cls, *args)


class MissingFileError(FileError, FileNotFoundError):
    """A file or folder is not there."""


class MissingFolderError(FileError, NotADirectoryError):
    """A folder was expected."""


class ExistingFileError(FileError, FileExistsError):
    """Something is there already that is not to be replaced."""


def sentence_of(error: BaseException) -> str | None:
    """The message that medkd wrote for its user, if an error or one of its causes is medkd's.

    Args:
        error: what was raised.

    Returns:
        The message, or ``None`` if no error in the chain is a :class:`MedkdError`.

    Example:
        >>> sentence_of(InvalidValueError("Expected more, but got less."))
        'Expected more, but got less.'
        >>> sentence_of(ValueError("raised elsewhere")) is None
        True
    """
    for cause in _chain(error):
        if isinstance(cause, MedkdError):
            # str() of an OSError repeats its number and file.
            system = cause.strerror if isinstance(cause, OSError) else None
            return system or str(cause)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what caused it, the first cause last."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        hidden = error.__cause__ is None and error.__suppress_context__  # raise ... from None
        error = None if hidden else error.__cause__ or error.__context__
