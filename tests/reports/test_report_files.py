from __future__ import annotations

import pytest

from medkd.reports.page_layout import figure_block
from medkd.reports.report_figures import ReportFigure
from medkd.reports.report_files import write_files

PNG = bytes(range(256))


def figure(name, png=PNG):
    return ReportFigure(f"{name}.png", "cases", name, "how to read it", png)


def write(folder, *figures):
    page = "\n".join(map(figure_block, figures))
    return write_files(folder, page, figures, {"numbers.csv": "a\n"})


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_writes_page_figures_and_numbers(tmp_path):
    page = write(tmp_path / "new", figure("one"), figure("two"))
    assert page == tmp_path / "new" / "index.html"
    assert names(tmp_path / "new") == {"index.html", "numbers.csv", "one.png", "two.png"}
    assert (tmp_path / "new" / "one.png").read_bytes() == PNG


def test_removes_what_an_earlier_page_shows_and_nothing_else(tmp_path):
    write(tmp_path, figure("one"), figure("two"), figure("drawn_over"), figure("gone"))
    (tmp_path / "drawn_over.png").write_bytes(b"by the user")
    (tmp_path / "gone.png").unlink()
    (tmp_path / "copy_of_two.png").write_bytes(PNG)
    write(tmp_path, figure("one", PNG[::-1]))
    kept = {"index.html", "numbers.csv", "one.png", "drawn_over.png", "copy_of_two.png"}
    assert names(tmp_path) == kept
    assert (tmp_path / "one.png").read_bytes() == PNG[::-1]


@pytest.mark.parametrize("data", ["abc", "YQ==", ""])
def test_a_page_of_another_kind_is_replaced(tmp_path, data):
    page = f'<figure id="a"><img src="data:image/png;base64,{data}"></figure>\xff'
    (tmp_path / "index.html").write_bytes(page.encode("latin-1"))
    (tmp_path / "a.png").write_bytes(b"mine")
    write(tmp_path, figure("one"))
    assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_rejects_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "report").write_text("mine")
    with pytest.raises(OSError, match="report"):
        write(tmp_path / "report", figure("one"))
