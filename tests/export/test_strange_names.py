"""Names that are code to others leave as text: MONAI's parser reads an export, and nothing runs."""

from __future__ import annotations

import json

import pytest
from monai.bundle import ConfigParser

from medkd.export import export_bundle, export_monailabel
from medkd.export.bundle_metadata import shipped_names
from medkd.export.export_proof import Proof
from medkd.export.trained_run import read_run

pytestmark = pytest.mark.usefixtures("nothing_runs")


@pytest.fixture
def unproved(monkeypatch):
    """Without the proof, which takes seconds and knows nothing of names."""
    monkeypatch.setattr(
        "medkd.export.bundle_export.prove_bundle", lambda *_: Proof("a case", 1, 0, 1)
    )


@pytest.fixture
def renamed(volume_run, tmp_path):
    """``renamed(first, second)``: the manifest of ``volume_run`` with things of these names."""

    def make(first, second="b"):
        content = json.loads((volume_run.parent / "manifest.json").read_text())
        content |= dict.fromkeys(("name", "modality", "source", "license", "citation"), first)
        content["channel_names"] = {"0": first}
        content["labels"] = {"background": 0, first: 1, second: 2}
        path = tmp_path / "renamed.json"
        path.write_text(json.dumps(content))
        return path

    return make


def parsed(bundle):
    parser = ConfigParser()
    parser.read_meta(bundle / "configs" / "metadata.json")
    parser.read_config(bundle / "configs" / "inference.json")
    parser.get_parsed_content("network_def")
    return parser.get_parsed_content("_meta_")


@pytest.mark.usefixtures("unproved")
def test_an_export_is_text_to_the_parser(volume_run, renamed, strange_name, nothing_runs):
    manifest = renamed(strange_name)
    export_bundle(volume_run, strange_name, manifest=manifest)
    bundle = nothing_runs / strange_name
    metadata = parsed(bundle)
    assert metadata == json.loads((bundle / "configs" / "metadata.json").read_text())
    labels = json.loads((bundle / "labels.json").read_text())
    assert labels["dataset"]["name"] == strange_name
    assert [entry["name"] for entry in labels["labels"]] == ["background", strange_name, "b"]
    assert [entry["name"] for entry in labels["channels"]] == [strange_name]
    data = metadata["network_data_format"]
    for definition, entries in (
        (data["outputs"]["pred"]["channel_def"], labels["labels"]),
        (data["inputs"]["image"]["channel_def"], labels["channels"]),
    ):
        assert definition == {str(entry["index"]): entry["safe_name"] for entry in entries}
    for name in ("docs/README.md", "docs/data_license.txt"):
        assert strange_name in (bundle / name).read_text().replace("\\", "")


def test_an_export_with_such_names_is_proved(volume_run, renamed, tmp_path):
    proof = export_bundle(
        volume_run, tmp_path / "bundle", manifest=renamed("$import evil", "$open('x','w')")
    )
    assert proof.num_different == 0
    parsed(tmp_path / "bundle")


@pytest.mark.usefixtures("unproved")
def test_an_app_is_refused_where_monai_label_would_not_find_it(volume_run, tmp_path):
    for name in ("a#b", "::"):
        with pytest.raises(ValueError, match="Expected the app's folder to be a path without '#'"):
            export_monailabel(volume_run, tmp_path / name)
        assert not (tmp_path / name).exists()
    app = export_monailabel(volume_run, tmp_path / "$x 1")
    assert "--app '$x 1'" in (app.app_dir / "README.md").read_text()
    assert "--app '" in app.server_command


def test_names_are_told_apart_by_a_viewer(volume_run, renamed):
    """MONAI Label makes small letters of them."""
    names = shipped_names(read_run(volume_run, manifest=renamed("A#B", "a-b")).manifest)
    assert [entry["safe_name"] for entry in names["labels"]] == ["background", "A-B 2", "a-b"]
