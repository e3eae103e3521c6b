from __future__ import annotations

import json

import pytest

from medkd.cli.main import main


@pytest.fixture
def run(tmp_path):
    """The least that a report leaves behind: two methods on two cases."""
    folder = tmp_path / "run" / "report"
    folder.mkdir(parents=True)
    methods = {name: {"parameters": 10} for name in ("deep_ensemble", "student")}
    content = {"dataset": "EYES", "split": "test", "methods": methods}
    (folder / "metrics.json").write_text(json.dumps(content))
    rows = [f"{case},{name},1.0,0.5" for case in "ab" for name in methods]
    (folder / "cases.csv").write_text("\n".join(["case_id,method,seconds,dice", *rows, ""]))
    return tmp_path / "run"


def test_writes_the_page_and_says_where(run, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(["report", str(run), "--output", str(output)]) == 0
    assert capsys.readouterr().out == f"Comparison: {output / 'index.html'}\n"
    assert "EYES, test split" in (output / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("more", [[], ["--baseline", "nowhere"]])
def test_what_is_no_run_is_one_sentence(run, tmp_path, capsys, more):
    runs = [str(run)] if more else [str(run), str(tmp_path / "nowhere")]
    assert main(["report", *runs, "--output", str(tmp_path / "out"), *more]) == 1
    error = capsys.readouterr().err
    assert error.startswith("medkd: error: Expected ")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_damaged_numbers_are_one_sentence(run, tmp_path, capsys):
    (run / "report" / "metrics.json").write_text('{"dataset": "EYES"')
    assert main(["report", str(run), "--output", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert str(run / "report" / "metrics.json") in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("argv", [["report"], ["report", "run"], ["report", "--output", "out"]])
def test_wrong_usage_leaves_with_2(argv, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(argv)
    assert leaving.value.code == 2
    assert "usage: medkd report" in capsys.readouterr().err
