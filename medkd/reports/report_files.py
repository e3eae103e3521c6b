"""Write a page and what lies beside it, and take away what an earlier page left there."""

from __future__ import annotations

import base64
import binascii
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from medkd.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medkd.reports.report_figures import ReportFigure

__all__ = ["write_files"]

_PAGE = "index.html"
_EMBEDDED = re.compile(
    r'<figure id="([a-z0-9_]+)"><img [^>]*src="data:image/png;base64,([A-Za-z0-9+/=]+)">'
)


def write_files(
    output_dir: str | Path, page: str, figures: Sequence[ReportFigure], numbers: Mapping[str, str]
) -> Path:
    """Write figures and numbers, then the page: where it lies, everything is complete.

    A figure that an earlier page in the folder embeds, and that is no figure of this one, is
    removed, if the file still holds what that page shows. No other file is.

    Args:
        output_dir: the folder; it is made if missing, and files of the same names are replaced.
        page: HTML.
        figures: beside it as PNG files.
        numbers: file name to text.

    Returns:
        Path of ``index.html``.

    Raises:
        OSError: if a file cannot be written or removed; it names the file.
    """
    folder = Path(output_dir)
    earlier = _embedded_figures(folder / _PAGE)
    contents = {figure.file_name: figure.png for figure in figures}
    contents.update((name, text.encode("utf-8")) for name, text in numbers.items())
    for name, content in contents.items():
        _write(folder / name, content)
    for name, png in earlier.items():
        file = folder / name
        if name not in contents and file.is_file() and file.read_bytes() == png:
            file.unlink()
    _write(folder / _PAGE, page.encode("utf-8"))
    return folder / _PAGE


def _write(path: Path, content: bytes) -> None:
    with atomic_write(path) as file:
        file.write(content)


def _embedded_figures(page: Path) -> dict[str, bytes]:
    """File name to content of the figures in a page that was written here before."""
    if not page.is_file():
        return {}
    found = _EMBEDDED.findall(page.read_text(encoding="utf-8", errors="replace"))
    return {f"{stem}.png": _decoded(data) for stem, data in found}


def _decoded(data: str) -> bytes:
    with suppress(binascii.Error):
        return base64.b64decode(data, validate=True)
    return b""  # of a page that someone cut: like no figure
