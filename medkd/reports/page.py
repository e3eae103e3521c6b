"""The report as one HTML page that needs no network, no script and no other file."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from medkd.reports.page_style import STYLE_SHEET
from medkd.reports.page_tables import case_table, main_table, region_table
from medkd.reports.score_columns import SCORES
from medkd.reports.summary_statement import summary_statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from medkd.reports.evaluation_results import EvaluationResults
    from medkd.reports.report_figures import ReportFigure

__all__ = ["report_page"]

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
<div class="over">medkd · evaluation report</div>
<h1>$dataset</h1>
<div class="over">$subtitle</div>
</header>
$sections
<footer>The numbers of this page lie beside it in metrics.json, metrics.csv and cases.csv, its
figures as PNG files. For research; not a medical device.</footer>
</main>
</body>
</html>
""")

_SECTIONS = {
    "cases": "Case by case",
    "reliability": "Can the confidence be trusted?",
    "training": "Training",
    "pictures": "Cases to look at",
}


def report_page(results: EvaluationResults, figures: Sequence[ReportFigure]) -> str:
    """Lay out the page.

    Args:
        results: what to show.
        figures: already drawn; they are embedded.

    Returns:
        HTML. Every name that comes from the results is escaped.
    """
    sections = [_statement(results), _scores(results), _regions(results)]
    for key, heading in _SECTIONS.items():
        content = [_figure(figure) for figure in figures if figure.section == key]
        if key == "cases":
            content.append(_folded("Scores of every case", case_table(results)))
        if content:
            sections.append(_section(heading, *content))
    if results.settings:
        sections.append(_section("How it was made", _definitions(results.settings, "settings")))
    return _PAGE.substitute(
        title=escape(f"{results.dataset}: evaluation report"),
        style=STYLE_SHEET,
        dataset=escape(results.dataset),
        subtitle=escape(_subtitle(results)),
        sections="\n".join(section for section in sections if section),
    )


def _subtitle(results: EvaluationResults) -> str:
    num_cases = len(results.case_ids)
    cases = f"{num_cases} case{'' if num_cases == 1 else 's'}"
    return f"{results.split} split · {cases} · classes: {', '.join(results.class_names)}"


def _statement(results: EvaluationResults) -> str:
    paragraphs = "\n".join(f"<p>{escape(text)}</p>" for text in summary_statement(results))
    return f'<div class="statement">\n{paragraphs}\n</div>'


def _scores(results: EvaluationResults) -> str:
    spread = " ± standard deviation" if len(results.case_ids) > 1 else ""
    note = (
        f"Mean{spread} over cases, in the {results.main_region}. Arrows point to the better "
        "direction; the best of a column is shaded, and so is what equals it to the digits shown. "
    )
    meanings = {score.title: score.meaning for score in SCORES}
    return "\n".join(
        [
            main_table(results),
            f'<p class="note">{escape(note + _missing(results))}</p>',
            _folded("What the scores mean", _definitions(meanings, "terms")),
        ]
    )


def _missing(results: EvaluationResults) -> str:
    """Which scores some cases do not have: their means are over fewer cases."""
    ending = results.regions[results.main_region]
    counts = {}
    for method in results.methods:
        for score in SCORES:
            values = method.values(f"{score.metric}{ending}").values()
            counts[f"{score.title} of {method.title}"] = sum(value != value for value in values)
    missing = [f"{name}: {count}" for name, count in counts.items() if count]
    if not missing:
        return ""
    return f"Cases without a score, left out of its mean: {', '.join(missing)}."


def _regions(results: EvaluationResults) -> str:
    table = region_table(results)
    if not table:
        return ""
    note = (
        '<p class="note">Plain background makes any calibration look good, so a figure over all '
        "pixels flatters. The band holds the pixels round the label's edge, where segmentations "
        "differ and where errors are made.</p>"
    )
    return _section("Calibration in other regions", table, note)


def _section(heading: str, *content: str) -> str:
    return "\n".join(["<section>", f"<h2>{escape(heading)}</h2>", *content, "</section>"])


def _figure(figure: ReportFigure) -> str:
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


def _folded(heading: str, content: str) -> str:
    return f"<details><summary>{escape(heading)}</summary>\n{content}\n</details>"


def _definitions(entries: Mapping[str, str], css_class: str) -> str:
    items = "\n".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(str(text))}</dd></div>"
        if css_class == "settings"
        else f"<dt>{escape(name)}</dt><dd>{escape(str(text))}</dd>"
        for name, text in entries.items()
    )
    return f'<dl class="{css_class}">\n{items}\n</dl>'
