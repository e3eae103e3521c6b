from __future__ import annotations

import base64
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from medkd.reports import write_report
from medkd.reports.page import report_page
from medkd.reports.stored_report import read_runs

VOID = {"meta", "img", "br", "link", "input", "hr"}


class PageReader(HTMLParser):
    """Keeps every tag with its attributes, and fails on a tag that is not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(report_dir):
    reader = PageReader()
    reader.feed((report_dir / "index.html").read_text(encoding="utf-8"))
    reader.close()
    return reader


def test_every_tag_is_closed(page):
    assert page.open == []


def test_needs_nothing_but_itself(page):
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    for tag, attributes in page.tags:
        assert tag not in {"script", "link", "iframe", "object", "base"}
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        assert attributes.get("href", "#")[0] == "#"
        assert attributes.get("href", "#")[1:] in ids | {""}
    (style,) = (text for text in page.text if ":root" in text)
    assert "url(" not in style
    assert "@import" not in style


def test_forbids_the_browser_to_load_anything(page):
    (policy,) = (
        attributes["content"]
        for tag, attributes in page.tags
        if tag == "meta" and "http-equiv" in attributes
    )
    assert "default-src 'none'" in policy


def test_ids_are_distinct(page):
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_embeds_the_figures_that_lie_beside_it(page, report_dir):
    embedded = [
        base64.b64decode(attributes["src"].partition(",")[2])
        for tag, attributes in page.tags
        if tag == "img"
    ]
    beside = [path.read_bytes() for path in report_dir.glob("*.png")]
    assert sorted(embedded) == sorted(beside)


def test_every_figure_is_described(page):
    assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")


def test_names_are_shown_as_they_are(page, full_results):
    text = "".join(page.text)
    assert full_results.dataset in text
    assert full_results.method("student").title in text
    for name, value in full_results.settings.items():
        assert name in text
        assert value in text


def test_says_which_scores_are_missing(page):
    assert "Cases without a score, left out of its mean: Dice of single: 1." in "".join(page.text)


def test_marks_the_best_cells(page):
    # Dice, MCC, ECE, Brier, NLL, parameters, seconds; three scores in each of two regions; ECE,
    # MCE, Brier and its calibration, NLL; AURC and error AUROC.
    best = [attributes for tag, attributes in page.tags if attributes.get("class") == "best"]
    assert len(best) == 7 + 6 + 5 + 2


def test_has_a_section_for_each_question(page):
    text = "".join(page.text)
    for heading in (
        "Differences from the deep ensemble",
        "Can the confidence be trusted?",
        "Does uncertainty find the errors?",
        "What it costs",
    ):
        assert heading in text
    assert "Class by class" not in text


def test_says_that_so_few_cases_prove_nothing(page):
    assert "With 3 cases no p below 0.05 is possible, whatever the difference." in "".join(
        page.text
    )


def test_shows_what_was_measured_of_the_cost(page):
    text = "".join(page.text)
    assert "2 G" in text
    assert "1 h 30 min" in text


def test_explains_what_it_shows_and_nothing_else(page):
    text = "".join(page.text)
    assert "Maximum calibration error" in text
    assert "Failure AUROC" in text
    assert "Adaptive calibration error" not in text
    assert "Failure AURC" not in text


def test_several_classes_have_their_own_tables(make_method, make_results):
    classes = ["background", "liver", "spleen"]
    more = [f"{score}_{name}" for score in ("dice", "ece") for name in classes]
    results = make_results([make_method("a", more=more)], class_names=classes)
    text = report_page(results, [])
    assert "Dice of every class" in text
    assert "ECE of every class" in text
    assert "NLL of every class" not in text


def test_names_the_shift(make_results):
    assert "images with blur 3" in report_page(make_results(shift=("blur", 3)), [])


def test_a_lone_method_is_not_compared(make_method, make_results):
    assert "Differences from" not in report_page(make_results([make_method("student")]), [])


HOSTILE = "<script>x</script>"


def test_strange_names_are_shown_as_they_are(
    make_method, make_results, make_picture, strange_names, tmp_path
):
    names = [*strange_names, HOSTILE, "$\\foo$ $"]
    classes = ["background", *names]
    more = [f"{score}_{name}" for score in ("dice", "ece") for name in names]
    methods = [
        make_method(name, seed=seed, case_ids=names, more=more)
        for seed, name in enumerate(("single", "student"))
    ]
    picture = replace(make_picture("worst"), case_id=names[-1])
    results = make_results(methods, class_names=classes, pictures=[picture])
    index = write_report(results, tmp_path / "report")
    reader = PageReader()
    reader.feed(index.read_text(encoding="utf-8"))
    assert not {"script", "b"} & {tag for tag, _ in reader.tags}
    shown = Counter(text.strip() for text in reader.text)
    assert all(shown[name] >= 3 for name in names), "twice as a case, once as a class"
    ((stored,),) = read_runs([tmp_path]).values()
    assert stored.case_ids == set(names)
    assert more[0] in stored.methods[0].scores[names[0]]
