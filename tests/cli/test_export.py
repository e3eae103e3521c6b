from __future__ import annotations

import pytest

from medkd.cli.main import main


def test_rejects_options_of_another_format(capsys):
    arguments = ["export", "run", "--to", "onnx", "--output", "out", "--name", "student"]
    assert main(arguments) == 1
    assert "Expected --name with --to monailabel or zoo" in capsys.readouterr().err


@pytest.mark.parametrize("to", ["monailabel", "zoo"])
def test_rejects_a_folder_that_is_not_a_run(tmp_path, capsys, to):
    arguments = ["export", str(tmp_path), "--to", to, "--output", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "the folder of a finished run, but it has no config.json" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
