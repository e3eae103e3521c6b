"""What a user may call things, and how such text is shown, shipped and kept from being code.

MONAI's parser reads every text of a configuration, metadata included. One that begins with ``$`` is
evaluated, one that begins with ``%``, or is ``@`` and a word, is replaced by what it names, and
``#`` becomes ``::`` wherever it is. So names of classes, channels, data sets and cases stay in
files that MONAI does not parse; what must be in one that it does is a :func:`safe_name`, or a path
that :func:`check_path` let pass.
"""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from medkd.errors import InvalidValueError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "check_file_name",
    "check_name",
    "check_path",
    "check_text",
    "check_unlike_files",
    "file_name",
    "markdown",
    "one_line",
    "printable",
    "safe_name",
    "safe_names",
    "shown",
]

_MOST_BYTES = 200  # with an ending such as _uncertainty.nii.gz, a file name may have 255
_SHOWN = 60
_PATH = 1000  # characters of a path, of which the last ones matter most
_NOT_IN_FILES = '/\\*?"<>|' + ":" * (os.name == "nt")
_FIRST = "$%@"  # as the first character these have a meaning to MONAI's parser
_LEVELS = re.compile(r"#|:{2,}")  # what separates the levels of its ids, the old way and the new
# What begins markup in Markdown; an underscore within a word does not.
_MARKUP = re.compile(r"[\\`*\[\]<>|$]|~~|&(?=#?\w+;)|(?<!\S)#|(?<![^\W_])_|_(?![^\W_])")
_SPACES = "Zs"  # of all languages; str.isprintable knows only that of ASCII
_BREAKS = "\t\n\r"


def check_name(value: object, *, where: str) -> str:
    r"""Refuse what is no name: a text of at most 200 bytes, without anything that is not seen.

    Letters, signs and blanks of all languages are taken, ``$ @ % # ::`` included. What is not seen
    are control characters, line ends, and the marks that turn the direction of text or have no
    width, by which one name may pass for another.

    Args:
        value: what should be one.
        where: what it names, the subject of the sentence.

    Returns:
        The name as it is.

    Raises:
        ValueError: if it is none; the text is shown escaped, and cut.

    Example:
        >>> check_name("% stenosis", where="class 2")
        '% stenosis'
        >>> check_name("a\x1b[2Jb", where="class 2")
        Traceback (most recent call last):
        medkd.errors.InvalidValueError: Expected class 2 to be without control characters and ...
    """
    text = check_text(value, where=where, breaks=False)
    size = len(text.encode())
    if size > _MOST_BYTES:
        raise InvalidValueError(
            f"Expected {where} to be of at most {_MOST_BYTES} bytes in UTF-8, but got {size} bytes "
            f"that begin with {shown(text)}."
        )
    return text


def check_text(value: object, *, where: str, empty: bool = False, breaks: bool = True) -> str:
    """Refuse what is no text: other types, blanks alone, and what is not seen.

    Args:
        value: what should be one.
        where: what it is of, the subject of the sentence.
        empty: whether nothing, or blanks alone, will do.
        breaks: whether it may have line ends and tabulators.

    Returns:
        The text as it is.

    Raises:
        ValueError: if it is none.
    """
    if not isinstance(value, str) or not (empty or value.strip()):
        raise InvalidValueError(f"Expected {where} to be a text, but got {shown(value)}.")
    if value.isprintable():
        return value
    hidden = [c for c in value if not _is_seen(c) and not (breaks and c in _BREAKS)]
    if hidden and unicodedata.category(hidden[0]) == "Cs":
        raise InvalidValueError(
            f"Expected {where} to be text that UTF-8 can write, but got {shown(value)}."
        )
    if hidden:
        raise InvalidValueError(
            f"Expected {where} to be without control characters and others that are not seen, but "
            f"got {hidden[0]!a} in {shown(value)}."
        )
    return value


def check_file_name(value: object, *, where: str) -> str:
    """Refuse a name under which no result can be written.

    Args:
        value: what should be one.
        where: what it names.

    Returns:
        The name as it is.

    Raises:
        ValueError: if it is no name (:func:`check_name`), or no file or folder may be called so.
    """
    text = check_name(value, where=where)
    if set(text) & set(_NOT_IN_FILES) or text in {".", ".."}:
        raise InvalidValueError(
            f"Expected {where} to be usable as a file name (no slash, star, question mark, quote "
            f"or bar, and on Windows no colon), but got {shown(text)}."
        )
    return text


def file_name(text: str) -> str:
    """A text as a name that files and folders may have.

    Args:
        text: any text.

    Returns:
        The text on one line, with a hyphen for what no file name may hold.

    Example:
        >>> file_name("CT/MR: what?")
        'CT-MR: what-'
    """
    return "".join("-" if c in _NOT_IN_FILES else c for c in one_line(text))


def check_unlike_files(names: Iterable[str], *, what: str) -> None:
    """Refuse names that are one file to some disks, which see no capitals and compose accents.

    Args:
        names: those of files in one folder.
        what: what they name.

    Raises:
        ValueError: if two of them are, or are equal.
    """
    seen: dict[str, str] = {}
    for name in names:
        key = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        other = seen.setdefault(key, name)
        if other is not name:
            same = f"{shown(name)} twice" if other == name else f"{shown(other)} and {shown(name)}"
            raise InvalidValueError(
                f"Expected {what} to be files of their own, also where capitals do not count, but "
                f"got {same}."
            )


def check_path(path: str | Path, *, where: str) -> Path:
    """Refuse a path that MONAI's parser would not leave as it is.

    Args:
        path: what is to be written into a configuration, as it will stand there.
        where: what it is the path of, such as ```--output```.

    Returns:
        The path.

    Raises:
        ValueError: if it holds ``#`` or ``::``, begins with ``$``, ``%`` or ``@``, or is no text
            that can be written.

    Example:
        >>> check_path("runs/out#1", where="`--output`")
        Traceback (most recent call last):
        medkd.errors.InvalidValueError: Expected `--output` to be a path without '#' and '::', ...
    """
    text = check_text(str(path), where=where, breaks=False)
    if _LEVELS.search(text):
        raise InvalidValueError(
            f"Expected {where} to be a path without '#' and '::', of which MONAI's parser makes "
            f"the same, but got {shown(text, most=_PATH)}: rename the folder, or use a symbolic "
            "link to it."
        )
    if text.startswith(tuple(_FIRST)):
        raise InvalidValueError(
            f"Expected {where} to be a path that does not begin with '$', '%' or '@', which "
            f"MONAI's parser does not take as text, but got {shown(text, most=_PATH)}: write "
            f"{shown(f'./{text}', most=_PATH)}."
        )
    return Path(path)


def safe_name(text: str, *, fallback: str = "unnamed") -> str:
    """A readable name that MONAI's parser, and a viewer, take as plain text.

    Args:
        text: any text.
        fallback: what to call it if nothing readable is left.

    Returns:
        The text on one line, without what the parser would evaluate, copy, look up or rewrite; the
        text itself if there is none of that.

    Example:
        >>> safe_name("$import evil"), safe_name("@network"), safe_name("a#b"), safe_name("::")
        ('import evil', 'network', 'a-b', 'unnamed')
    """
    line = _LEVELS.sub("-", one_line(text))
    name = line.lstrip(f"{_FIRST} ")
    if name == text:
        return name
    return name if any(character.isalnum() for character in name) else fallback


def safe_names(texts: Sequence[str], *, fallback: str) -> list[str]:
    """Safe names of which no two are equal, also to a viewer that makes all letters small.

    Args:
        texts: different names.
        fallback: with a text's position behind it, what to call one of which nothing is left.

    Returns:
        One name a text. A text that is safe as it is keeps its name; others give way.

    Example:
        >>> safe_names(["a#b", "a-b", "::"], fallback="class")
        ['a-b 2', 'a-b', 'class 2']
    """
    wanted = [safe_name(text, fallback=f"{fallback} {i}") for i, text in enumerate(texts)]
    names: dict[int, str] = {}
    taken: set[str] = set()
    for index in sorted(range(len(texts)), key=lambda i: wanted[i] != texts[i]):
        name, number = wanted[index], 2
        while name.casefold() in taken:
            name, number = f"{wanted[index]} {number}", number + 1
        taken.add(name.casefold())
        names[index] = name
    return [names[index] for index in range(len(texts))]


def shown(value: object, *, most: int = _SHOWN) -> str:
    r"""A value for a message: quoted, cut to a sane length, with an escape for what is not seen.

    Args:
        value: anything.
        most: characters of it.

    Returns:
        Its ``repr``, of a long text that of its beginning and three dots.

    Example:
        >>> shown("a\x1b[2J"), shown("a" * 100 + "b")[-8:]
        ("'a\\x1b[2J'", "aaaa'...")
    """
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]!r}..."
    text = repr(value)
    return text if isinstance(value, str) or len(text) <= most else f"{text[:most]}..."


def one_line(text: str) -> str:
    """A text on one line.

    Args:
        text: any text.

    Returns:
        The text with one blank where it has several, tabulators or line ends; none at its ends.
    """
    return " ".join(text.split())


def markdown(text: str) -> str:
    r"""A text on one line of Markdown, or in a cell of a table, that reads as it is.

    Args:
        text: any text.

    Returns:
        The text with a backslash before what would be markup.

    Example:
        >>> print(markdown("<b> left_lung | $x$"))
        \<b\> left_lung \| \$x\$
    """
    return _MARKUP.sub(lambda found: f"\\{found[0]}", one_line(text))


def printable(text: str, encoding: str | None = None) -> str:
    r"""A text for a terminal, which would obey what it does not show, and may lack letters.

    Args:
        text: any text, of several lines.
        encoding: the terminal's; UTF-8 by default.

    Returns:
        The same with an escape for every character that is not seen but line ends and tabulators,
        and for those that the encoding lacks.

    Example:
        >>> printable("a\x1b[2J\n"), printable("Ödem", "ascii")
        ('a\\x1b[2J\n', '\\xd6dem')
    """
    seen = "".join(c if _is_seen(c) or c in "\t\n" else ascii(c)[1:-1] for c in text)
    encoding = encoding or "utf-8"
    return seen.encode(encoding, "backslashreplace").decode(encoding)


def _is_seen(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == _SPACES
