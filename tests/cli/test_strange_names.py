"""From a data set with names that are code to others to a bundle that MONAI's parser reads."""

from __future__ import annotations

import ast
import io
import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest
from monai.bundle import ConfigParser

from medkd.cli.main import main
from medkd.cli.terminal import write, write_problem
from medkd.data import make_manifest, read_manifest
from medkd.runs.training_settings import training_settings

pytestmark = pytest.mark.usefixtures("nothing_runs")
# What does anything but describe: trains, scores, writes, or asks for the results of these.
STAGES = ("medkd.workflows.", "medkd.runs.this_run", "medkd.teachers.", ".run()")


def plan(manifest, output):
    return main(["plan", str(manifest), "--output", str(output), "--num_members", "2"])


def parser_of(bundle, name):
    parser = ConfigParser()
    parser.read_meta(bundle / "metadata.json")
    parser.read_config(bundle / name)
    return parser


def is_shown_in(name, page):
    """Whether a page shows a name, which a line may have before or behind it."""
    return name in page.replace("\\", "")


def test_data_check_proves_them(strange_volumes, strange_name, capsys):
    folder, manifest = strange_volumes([strange_name], folder=f"{strange_name} 0")
    (folder / "images" / "one more.nii.gz").touch()
    assert main(["data", "check", str(manifest), "--dataset_dir", str(folder)]) == 0
    assert f"{strange_name}: 3 cases of 3 patients" in capsys.readouterr().out
    found = read_manifest(manifest)
    assert found.class_names == ("background", strange_name)
    assert found.channel_names == {0: strange_name}
    assert found.splits["train"] == (strange_name,)
    assert found.cases[0].patient == found.name == found.modality == strange_name


def test_data_manifest_finds_them_in_a_folder(strange_volumes, strange_name, tmp_path):
    source, manifest = strange_volumes([strange_name])
    folder = tmp_path / "found" / strange_name
    for case in read_manifest(manifest).cases:
        for role, kind in (("image", "imagesTr"), ("label", "labelsTr")):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            shutil.copy(source / case.paths(role)[0], folder / kind / f"{case.case_id}.nii.gz")
    described = {"channel_names": {"0": strange_name}, "labels": {"background": 0, strange_name: 1}}
    (folder / "dataset.json").write_text(json.dumps(described))
    assert main(["data", "manifest", str(folder), "--output", "found.json"]) == 0
    found = read_manifest("found.json")
    assert found.class_names == ("background", strange_name)
    assert found.channel_names == {0: strange_name}
    assert found.name == strange_name
    assert {case.case_id for case in found.cases} == {
        strange_name,
        *(f"{strange_name} {i}" for i in (1, 2)),
    }


def test_a_planned_bundle_is_text_to_the_parser(strange_volumes, strange_name, tmp_path, capsys):
    folder, manifest = strange_volumes([strange_name], folder=strange_name)
    bundle = tmp_path / "bundles" / strange_name
    if strange_name in {"a#b", "::"}:
        assert plan(manifest, tmp_path / "planned") == 1
        assert "the data set's folder to be a path without '#' and '::'" in capsys.readouterr().err
        folder, manifest = strange_volumes([strange_name])
        assert plan(manifest, bundle) == 1
        assert "--output to be a path without '#' and '::'" in capsys.readouterr().err
        bundle = tmp_path / "planned"
    assert plan(manifest, bundle) == 0
    metadata = json.loads((bundle / "metadata.json").read_text())
    for name in ("train.json", "inference.json"):
        parser = parser_of(bundle, name)
        config = json.loads((bundle / name).read_text())
        assert parser.get_parsed_content("_meta_") == metadata
        for key in (
            "bundle_root",
            "dataset_dir",
            "output_dir" if name == "train.json" else "run_dir",
        ):
            assert parser.get_parsed_content(key) == config[key]
    parser = parser_of(bundle, "train.json")
    described = [
        key
        for key in parser.get()
        if not any(stage in json.dumps(training_settings(parser, key)) for stage in STAGES)
    ]
    assert len(described) > 40
    for key in described:
        parser.get_parsed_content(key)
    assert parser.get_parsed_content("dataset_dir") == str(folder)
    found = parser.get_parsed_content("train::cases")
    assert [case["case_id"] for case in found] == [strange_name]
    assert read_manifest(bundle / "manifest.json") == read_manifest(manifest)
    assert is_shown_in(strange_name, (bundle / "README.md").read_text())


def config_files(readme):
    """The files that the commands of a bundle's README name, as a shell hands them to MONAI."""
    for line in readme.splitlines():
        if line.startswith("python -m monai.bundle run"):
            words = shlex.split(line)
            given = words[words.index("--config_file") + 1]
            yield from ast.literal_eval(given) if given.startswith("[") else [given]


@pytest.mark.parametrize("name", ["a b", "$(touch x)", "it's", '`a`"b"', "$x\\y"])
def test_commands_of_the_readme_name_the_files(strange_volumes, tmp_path, name):
    _, manifest = strange_volumes(["one"], folder=name.replace('"', "'"))
    bundle = tmp_path / "bundles" / name
    assert main(["plan", str(manifest), "--output", str(bundle), "--method", "mtms_kd"]) == 0
    files = list(config_files((bundle / "README.md").read_text()))
    names = ["train", "train", "evaluate", "inference", "train", "slices"]
    assert [Path(file).stem for file in files] == names
    assert all(Path(file).is_file() for file in files)


def test_a_terminal_without_letters_shows_the_rest(monkeypatch):
    """One ``ä`` lost the whole table of ``data check``."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, io.TextIOWrapper(io.BytesIO(), "ascii", write_through=True))
    write("Ödem\x1b\n% ok")
    write_problem("error", "ä")
    assert sys.stdout.buffer.getvalue() == b"\\xd6dem\\x1b\n% ok\n"
    assert sys.stderr.buffer.getvalue() == b"medkd: error: \\xe4\n"


def test_all_of_them_at_once(strange_volumes, strange_names, tmp_path):
    _, manifest = strange_volumes(strange_names)
    bundle = tmp_path / "bundle"
    assert plan(manifest, bundle) == 0
    parser = parser_of(bundle, "train.json")
    metadata = parser.get_parsed_content("_meta_")
    data = metadata["network_data_format"]
    assert list(data["inputs"]["image"]["channel_def"].values()) == [
        "import evil",
        "open('x','w')",
        "stenosis",
        "network",
        "a-b",
        "channel 5",
        "a b",
        "Ödem",
    ]
    classes = list(data["outputs"]["pred"]["channel_def"].values())
    assert classes[0] == "background"
    assert classes[6] == "class 6"
    assert read_manifest(bundle / "manifest.json").class_names == ("background", *strange_names)


def test_a_folder_within_the_data_set_may_have_any_name(strange_volumes, tmp_path):
    """The bundle's inference would begin with the first image's folder, which MONAI rewrites."""
    folder, manifest = strange_volumes(["a#b"])
    assert plan(manifest, tmp_path / "bundle") == 0
    parser = parser_of(tmp_path / "bundle", "inference.json")
    assert parser.get_parsed_content("dataset_dir") == str(folder)
    folder, manifest = strange_volumes(["@network"])
    assert plan(manifest, tmp_path / "another") == 0
    parser = parser_of(tmp_path / "another", "inference.json")
    assert parser.get_parsed_content("dataset_dir") == str(folder / "images" / "@network")


UNSEEN = {
    "a line end": "a\nb",
    "an escape sequence": "a\x1b[2Jb",
    "a turned direction": "a\u202eb",
    "no width": "a\u200bb",
    "too long": "a" * 201,
    "no UTF-8": "a\udce4",
}


@pytest.mark.parametrize("name", UNSEEN.values(), ids=UNSEEN)
@pytest.mark.parametrize("role", ["class", "channel", "data set", "case id", "patient", "split"])
def test_rejects_what_is_no_name_before_anything_runs(
    strange_volumes, role, name, tmp_path, capsys
):
    folder, manifest = strange_volumes(["one"])
    content = json.loads(manifest.read_text())
    if role == "class":
        content["labels"] = {"background": 0, name: 1}
    elif role == "channel":
        content["channel_names"] = {"0": name}
    elif role == "data set":
        content["name"] = name
    elif role == "case id":
        content["cases"][0]["case_id"] = content["splits"]["train"][0] = name
    elif role == "patient":
        content["cases"][0]["patient"] = name
    else:
        content["splits"][name] = content["splits"].pop("test")
    manifest.write_text(json.dumps(content))
    for arguments in (
        ["data", "check", str(manifest), "--dataset_dir", str(folder)],
        ["plan", str(manifest), "--output", str(tmp_path / "bundle")],
    ):
        assert main(arguments) == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert f"In manifest {manifest}: Expected" in said.err
        assert said.err.rstrip("\n").isprintable()
        assert len(said.err) < len(str(manifest)) + 300
    assert not (tmp_path / "bundle").exists()


def test_rejects_a_file_that_is_no_name(strange_volumes, tmp_path, capsys):
    source, _ = strange_volumes(["one"])
    folder = tmp_path / "found"
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True)
        for name in ("a", "b", "c\x1b[2J"):
            shutil.copy(source / "labels" / "one.nii.gz", folder / kind / f"{name}.nii.gz")
    assert main(["data", "manifest", str(folder), "--output", str(tmp_path / "made.json")]) == 1
    assert r"without control characters" in (said := capsys.readouterr().err)
    assert r"'c\x1b[2J'" in said
    assert "\x1b" not in said
    assert not (tmp_path / "made.json").exists()


def test_names_the_file_that_states_a_bad_name(strange_volumes):
    source, _ = strange_volumes(["one"])
    (source / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "a\x07": 1}}))
    (source / "images").rename(source / "unused")
    (source / "images").mkdir()
    shutil.copy(source / "labels" / "one.nii.gz", source / "images" / "one.nii.gz")
    for name in ("one 1", "one 2"):
        (source / "labels" / f"{name}.nii.gz").unlink()
    with pytest.raises(ValueError, match=r"every class of .*dataset\.json to be .* '\\x07'"):
        make_manifest(source)
