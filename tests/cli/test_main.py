from __future__ import annotations

from dataclasses import replace

import pytest

from medkd import __version__
from medkd.cli import data_check
from medkd.cli.main import main


def test_says_its_version(capsys):
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"medkd {__version__}\n"


@pytest.mark.parametrize(
    "argv",
    [[], ["data"], ["data", "chekc"], ["data", "check"], ["data", "check", "--dir"]],
)
def test_wrong_usage_leaves_with_2(argv, capsys):
    with pytest.raises(SystemExit) as leaving:
        main(argv)
    assert leaving.value.code == 2
    assert "usage: medkd" in capsys.readouterr().err


def test_does_not_guess_shortened_options(capsys):
    with pytest.raises(SystemExit):
        main(["data", "check", "x.json", "--dataset", "."])
    assert "unrecognized arguments: --dataset" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (ValueError("Expected a,\n  but got b."), "error: Expected a, but got b.", 1),
        (RuntimeError("Not now."), "error: Not now.", 1),
        (FileNotFoundError("Expected x."), "error: Expected x.", 1),
        (PermissionError(13, "Permission denied", "/x"), "error: Permission denied: /x", 1),
        (
            OSError(28, "Expected to write /x, but got: full.", "/x"),
            "error: Expected to write /x,",
            1,
        ),
        (KeyboardInterrupt(), "error: Stopped.", 130),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error, line, code, monkeypatch, capsys):
    def fail(_):
        raise error

    monkeypatch.setattr(data_check, "VERB", replace(data_check.VERB, run=fail))
    assert main(["data", "check", "x.json", "--dataset_dir", "."]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(f"medkd: {line}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
