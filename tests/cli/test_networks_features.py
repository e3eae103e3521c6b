from __future__ import annotations

from pathlib import Path

import pytest

from medkd.cli.main import main

BUNDLES = Path(__file__).parents[2] / "bundles"


@pytest.mark.parametrize(
    ("bundle", "line"),
    [
        ("end_crd", ["down_4", "128", "8 x 8"]),
        ("kd_uniform/train.json", ["model", "5", "64 x 64 x 32"]),
    ],
)
def test_lists_paths_with_shapes(bundle, line, capsys):
    assert main(["networks", "features", str(BUNDLES / bundle)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert line in [[part.strip() for part in each.split("  ") if part] for each in lines]
    assert all("." not in each.split()[0] for each in lines[1:-1])
    assert lines[-1] == "modules within these: --depth 2"


def test_depth_shows_more(capsys):
    for depth, path in ((1, "down_4.max_pooling"), (2, "down_4.max_pooling"), (0, None)):
        main(["networks", "features", str(BUNDLES / "end_crd"), "--depth", str(depth)])
        written = capsys.readouterr().out
        if path:
            assert (path in written) == (depth == 2)
    assert "down_4.convs.conv_1.conv" in written


def test_rejects(tmp_path, capsys):
    assert main(["networks", "features", str(tmp_path)]) == 1
    assert "Expected a bundle or a run" in capsys.readouterr().err
    bundle = str(BUNDLES / "end_crd")
    assert main(["networks", "features", bundle, "--network", "teacher_def"]) == 1
    assert "to have `teacher_def`, but it does not" in capsys.readouterr().err
