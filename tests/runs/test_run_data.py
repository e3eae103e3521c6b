from __future__ import annotations

import json

import pytest

from medkd.runs import find_image, find_manifest, run_class_names


def rewrite(run, **changes):
    path = run / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_class_names_are_those_of_the_manifest(small_run):
    run = small_run(3)
    names = ["background", "esophagus", "heart", "trachea", "aorta"]
    assert run_class_names(run, 5) == names
    assert run_class_names(run, 3) == ["background", "class 1", "class 2"]
    rewrite(run, manifest="$medkd.data.chest_ct_phantom(@dataset_dir)")  # in the data's folder
    assert run_class_names(run, 5) == names
    rewrite(run, manifest="no_such.json")
    assert find_manifest(run) is None
    rewrite(run, manifest="$medkd.data.chest_ct_phantom(@dataset_dir)", dataset_dir="nowhere")
    assert run_class_names(run, 2) == ["background", "class 1"]
    assert find_manifest(run) is None
    assert find_image(run) is None


def test_the_manifest_of_a_planned_bundle_lies_in_it(small_run, tmp_path):
    run = small_run(3)
    manifest, path = find_manifest(run)
    (tmp_path / "manifest.json").write_bytes(path.read_bytes())
    rewrite(run, manifest="$@bundle_root + '/manifest.json'", bundle_root=str(tmp_path))
    assert find_manifest(run) == (manifest, tmp_path / "manifest.json")


def test_image_is_one_that_was_not_trained_on(small_run):
    run = small_run(3)
    assert find_image(run)["case_id"] == "scan_1"
    for path in (run.parent / "data" / "images").iterdir():
        path.unlink()
    assert find_image(run) is None


def test_evaluates_no_expression(small_run, tmp_path):
    run = small_run(3)
    harmful = f"$__import__('pathlib').Path({str(tmp_path / 'touched')!r}).touch()"
    rewrite(run, manifest=harmful)
    assert find_manifest(run)[1].name == "manifest.json"
    assert not (tmp_path / "touched").exists()


def test_rejects_a_broken_manifest(small_run):
    run = small_run(3)
    (run.parent / "data" / "manifest.json").write_text("{}")
    with pytest.raises(ValueError, match=r"manifest\.json"):
        run_class_names(run, 5)
