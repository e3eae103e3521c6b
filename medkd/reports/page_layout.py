"""What pages are built from: one HTML file that needs no network, no script, no other file."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from medkd.reports.page_style import STYLE_SHEET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from medkd.reports.report_figures import ReportFigure

__all__ = [
    "definitions",
    "figure_block",
    "folded",
    "note",
    "page",
    "section",
    "statement",
]

# The policy makes a browser refuse whatever is not in the file itself.
_PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
<header>
<div class="over">medkd · $kind</div>
<h1>$heading</h1>
<div class="over">$subtitle</div>
</header>
$content
<footer>$footer For research; not a medical device.</footer>
</main>
</body>
</html>
""")


def page(*, kind: str, heading: str, subtitle: str, content: str, footer: str) -> str:
    """A whole page.

    Args:
        kind: what sort of page it is, above the heading.
        heading: plain text, as all but ``content``.
        subtitle: below the heading.
        content: HTML.
        footer: the first words at the end.

    Returns:
        HTML.
    """
    return _PAGE.substitute(
        title=escape(f"{heading}: {kind}"),
        style=STYLE_SHEET,
        kind=escape(kind),
        heading=escape(heading),
        subtitle=escape(subtitle),
        content=content,
        footer=escape(footer),
    )


def section(heading: str, *content: str) -> str:
    """Content under a heading, set off from what is above it.

    Args:
        heading: plain text.
        content: HTML.

    Returns:
        HTML.
    """
    return "\n".join(["<section>", f"<h2>{escape(heading)}</h2>", *content, "</section>"])


def statement(paragraphs: list[str]) -> str:
    """What the page has to say, in a box.

    Args:
        paragraphs: plain text.

    Returns:
        HTML.
    """
    lines = "\n".join(f"<p>{escape(text)}</p>" for text in paragraphs)
    return f'<div class="statement">\n{lines}\n</div>'


def note(text: str) -> str:
    """Small print under a table.

    Args:
        text: plain text.

    Returns:
        HTML.
    """
    return f'<p class="note">{escape(text)}</p>'


def figure_block(figure: ReportFigure) -> str:
    """A figure with heading and caption, embedded, in the page's width or its own.

    Args:
        figure: already drawn.

    Returns:
        HTML.
    """
    data = base64.b64encode(figure.png).decode("ascii")
    name = Path(figure.file_name).stem
    resize = (
        f'<a class="larger" href="#{name}">Full size</a>'
        f'<a class="smaller" href="#{name}_title">Fit the page</a>'
    )
    return (
        f'<h3 id="{name}_title">{escape(figure.title)}</h3>\n'
        f'<figure id="{name}"><img alt="{escape(figure.title)}" width="{figure.page_width}" '
        f'src="data:image/png;base64,{data}">'
        f"<figcaption>{escape(figure.caption)} {resize}</figcaption></figure>"
    )


def folded(heading: str, content: str) -> str:
    """Content that a reader opens.

    Args:
        heading: plain text.
        content: HTML.

    Returns:
        HTML.
    """
    return f"<details><summary>{escape(heading)}</summary>\n{content}\n</details>"


def definitions(entries: Mapping[str, str], css_class: str = "terms") -> str:
    """Terms and what they mean, or settings and their values.

    Args:
        entries: plain text by term.
        css_class: ``"terms"``, or ``"settings"`` for pairs side by side.

    Returns:
        HTML.
    """
    items = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(text))}</dd></div>"
        if css_class == "settings"
        else f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>"
        for name, text in entries.items()
    )
    return f'<dl class="{css_class}">\n{items}\n</dl>'
