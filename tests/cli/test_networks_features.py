from __future__ import annotations

import json
from pathlib import Path

import pytest

from medkd.cli import networks_features
from medkd.cli.main import main

BUNDLES = Path(__file__).parents[2] / "bundles"


def listed(capsys, *arguments):
    """The lines of the table, in parts, and what is written below it."""
    assert main(["networks", "features", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [[part.strip() for part in each.split("  ") if part] for each in lines]
    return [row for row in rows if len(row) == 3], lines[-1]


@pytest.mark.parametrize(
    ("bundle", "row"),
    [
        ("end_crd", ["down_4", "128", "8 x 8"]),
        ("kd_uniform/train.json", ["model", "5", "64 x 64 x 32"]),
        # A list of modules is no module: what is tapped by default is seen at once.
        ("mtms_kd", ["downsamples.0", "23", "24 x 12 x 12"]),
    ],
)
def test_lists_paths_with_shapes(bundle, row, capsys):
    rows, hint = listed(capsys, str(BUNDLES / bundle))
    assert row in rows
    paths = {path for path, *_ in rows}
    assert not any(path.rpartition(".")[0] in paths for path in paths)
    assert hint == "modules within these: --depth 2"


def test_the_example_runs(capsys, monkeypatch):
    monkeypatch.chdir(BUNDLES.parent)
    words = networks_features.VERB.example.split()
    assert words[:2] == ["example:", "medkd"]
    assert main(words[2:]) == 0
    assert "encoder10" in capsys.readouterr().out


def test_overlays_and_another_patch(capsys, tmp_path):
    bundle, teacher = str(BUNDLES / "mtms_kd"), ["--network", "member_def"]
    transformer = ["--overlay", "swin_unetr_teacher.json"]
    rows, _ = listed(capsys, bundle, *teacher, *transformer, "--overlay", "slices.json")
    assert ["encoder10", "192", "3 x 3"] in rows
    assert not any("blocks" in path for path, *_ in rows)  # their channels come last
    rows, _ = listed(capsys, bundle, *teacher, *transformer, "--patch_size", "64", "32", "32")
    assert ["encoder2", "12", "32 x 16 x 16"] in rows
    (tmp_path / "wider.json").write_text(json.dumps({"network_def::filters": [5, 6, 7]}))
    rows, _ = listed(capsys, bundle, "--overlay", str(tmp_path / "wider.json"))
    assert ["bottleneck", "7", "12 x 6 x 6"] in rows


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
    for arguments, sentence in (
        (["--network", "teacher_def"], "to have `teacher_def`, but it does not"),
        (["--overlay", "nowhere.json"], "Expected --overlay to be a file, but there is neither"),
        (["--depth", "-1"], "Expected --depth to be zero or more, but got -1."),
        (["--patch_size", "4"], "Expected --patch_size to be 2 numbers above zero, as the bundle"),
        (["--patch_size", "-4", "4"], "Expected --patch_size to be 2 numbers above zero"),
        (["--patch_size", "4", "4"], "to be what a BasicUNet takes, but got shape (1, 3, 4, 4)"),
    ):
        assert main(["networks", "features", bundle, *arguments]) == 1
        assert sentence in capsys.readouterr().err
