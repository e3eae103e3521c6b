from __future__ import annotations

import json

import pytest
import torch
from monai.bundle import ConfigParser

from medkd.data import read_manifest
from medkd.networks import feature_channels, feature_shapes
from medkd.planning import (
    METHODS,
    bundle_writing,
    check_output,
    find_template,
    inference_config,
    plan_bundle,
    take_fingerprint,
    write_bundle,
)

_METHOD_OVERLAYS = {
    "deep_mutual_learning.json",
    "cross_pseudo_supervision.json",
    "mean_teacher.json",
}


@pytest.fixture
def write(two_balls, tmp_path):
    manifest, folder = two_balls

    def write(name="bundle", *, method="end_kl", **arguments):
        plan = plan_bundle(take_fingerprint(manifest, folder), method=method)
        output = tmp_path / name
        return write_bundle(plan, manifest, dataset_dir=folder, output=output, **arguments)

    return write


def read(path):
    return json.loads(path.read_text())


@pytest.mark.parametrize("method", list(METHODS))
def test_every_file_parses_and_agrees(write, two_balls, method, tmp_path):
    path = write(method=method)
    train = ConfigParser(read(path / "train.json"))
    train.parse()
    assert train.get_parsed_content("manifest") == f"{path}/manifest.json"
    half = method == "mtms_kd"  # of four patients
    assert len(train.get_parsed_content("train::cases")) == (2 if half else 4)
    assert train.get_parsed_content("bundle_root") == str(path)
    assert read(path / "train.json")["dataset_dir"] == str(tmp_path / "set")
    assert read_manifest(path / "manifest.json") == two_balls[0]
    inference = ConfigParser(read(path / "inference.json"))
    student, same = (p.get_parsed_content("network_def") for p in (train, inference))
    assert str(student) == str(same)
    for name in ("num_channels", "num_classes", "spacing", "patch_size", "window_size"):
        assert read(path / "train.json")[name] == read(path / "inference.json")[name], name
    made = inference_config(read(path / "train.json"), read(path / "inference.json"))
    assert read(path / "inference.json") == made
    assert made["preprocessing"]["transforms"][-1] == read(path / "train.json")["normalization"][-1]
    members = read(path / "train.json").get("member_overlays", [])
    assert len(members) == (6 if method == "kd_diverse" else 0)
    methods = (p.name for p in path.glob("*.json") if p.name in _METHOD_OVERLAYS)
    for overlay in ("member.json", "evaluate.json", "multi_gpu.json", *members, *methods):
        ids = ConfigParser(read(path / "train.json"))
        ids.update(read(path / overlay))
        ids.parse()
    for overlay in members:
        ids = ConfigParser(read(path / "train.json"))
        ids.update(read(path / overlay))
        ids.get_parsed_content("member_def")


def test_a_bundle_for_unlabeled_cases_has_the_other_methods_beside_it(write):
    path = write(method="dmd")
    assert {file.name for file in path.glob("*.json")} > _METHOD_OVERLAYS
    assert read(path / "train.json")["num_labeled"] == 0
    assert "trains a network on the labels alone to compare with" in (
        (path / "README.md").read_text()
    )


def test_a_small_student_keeps_its_width_and_its_teacher_has_the_planned_one(write):
    path = write(method="mtms_kd")
    train = ConfigParser(read(path / "train.json"))
    student, teacher = (train.get_parsed_content(f"{who}_def") for who in ("network", "member"))
    assert student.filters == [11, 23, 43]
    assert list(teacher.filters) == train["channels"]
    shape = (1, 1, *train["patch_size"])
    paths = train.get_parsed_content("features"), train.get_parsed_content("teacher_features")
    for network, features in zip((student, teacher), paths, strict=True):
        assert len(feature_channels(network, features, shape)) == 3
    two_tasks = train.get_parsed_content("reconstruction_features")
    assert set(two_tasks) <= set(feature_shapes(teacher, torch.zeros(shape)))
    assert "trains the teacher of two tasks" in (path / "README.md").read_text()


@pytest.mark.parametrize(
    ("strides", "size"),
    [
        ([2], [16, 16, 8]),
        ([2, 2, 2], [4, 4, 2]),
        ([[2, 2, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]], [2, 2, 2]),
    ],
)
def test_the_bottleneck_is_found_in_a_network_of_any_depth(write, strides, size):
    train = ConfigParser(read(write(method="end_crd") / "train.json"))
    train["strides"], train["channels"] = strides, [4, 6, 8, 10, 12][: len(strides) + 1]
    path = train.get_parsed_content("weighted_features")["bottleneck"]
    for who in ("network_def", "member_def"):
        shapes = feature_shapes(train.get_parsed_content(who), torch.zeros(1, 1, 32, 32, 16))
        assert list(shapes[path]) == [1, train["channels"][-1], *size]


@pytest.mark.parametrize("teacher", ["unet", "swin_unetr"])
def test_slices_of_the_same_volumes_are_planned_beside_them(write, teacher):
    path = write(method="mtms_kd")
    parser = ConfigParser(read(path / "train.json"))
    overlays = {"unet": [], "swin_unetr": ["swin_unetr_teacher.json"]}[teacher]
    for overlay in ("slices.json", *overlays):
        parser.update(read(path / overlay))
    assert parser["output_dir"] == "runs/bundle_slices"
    shape = (1, 1, *parser["patch_size"])
    assert len(shape) == 4
    for who, name in (("network_def", "features"), ("member_def", "teacher_features")):
        features = parser.get_parsed_content(name)
        assert len(feature_channels(parser.get_parsed_content(who), features, shape)) == 3
    readme = (path / "README.md").read_text()
    assert f"--config_file \"['{path}/train.json','{path}/slices.json']\"" in readme
    slices = read(path / "slices.json")
    for name in ("patch_size", "strides", "channels", "batch_size"):
        assert f"- `{name}` {json.dumps(slices[name])}: " in readme.split("## In slices")[1]


def test_a_template_without_slices_has_no_word_of_them(write):
    path = write(method="end_kl")
    assert not (path / "slices.json").exists()
    assert "## In slices" not in (path / "README.md").read_text()


def test_keeps_the_order_of_the_template(write):
    path = write()
    assert list(read(path / "train.json")) == list(find_template("kd_uniform").train)


def test_one_case_goes_through_its_preprocessing(write):
    parser = ConfigParser(read(write() / "train.json"))
    case = parser.get_parsed_content("train::cases")[0]
    for transform in parser.get_parsed_content("preprocessing"):
        case = transform(case)
    assert case["image"].shape == (1, 12, 11, 10)
    assert float(case["image"].mean()) == pytest.approx(0, abs=1e-5)
    assert case["label"].shape == (1, 12, 11, 10)


def test_metadata_names_classes_and_channels(write):
    data = read(write() / "metadata.json")["network_data_format"]
    assert data["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "structure 1"}
    assert data["inputs"]["image"]["channel_def"] == {"0": "T1"}
    assert data["inputs"]["image"]["spatial_shape"] == ["2*n", "2*n", "2*n"]


def test_readme_explains_every_number(write):
    path = write()
    readme, train = (path / "README.md").read_text(), read(path / "train.json")
    for name in ("spacing", "patch_size", "batch_size", "channels", "strides", "normalization"):
        assert f"- `{name}` {json.dumps(train[name])}: " in readme
    assert f"monai.bundle run training --config_file {path}/train.json" in readme


def test_same_data_same_bytes(write):
    first = write()
    files = {p.relative_to(first): p.read_bytes() for p in first.rglob("*") if p.is_file()}
    second = write(overwrite=True)
    assert {
        p.relative_to(second): p.read_bytes() for p in second.rglob("*") if p.is_file()
    } == files


def test_overwriting_leaves_nothing_of_the_old_bundle(write, tmp_path):
    (write() / "note.txt").write_text("old")
    path = write(overwrite=True)
    assert not (path / "note.txt").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bundle", "set"]


def test_rejects_an_existing_folder(write):
    path = write()
    before = (path / "train.json").read_bytes()
    with pytest.raises(FileExistsError, match=r"bundle exists: --overwrite\?"):
        write()
    assert (path / "train.json").read_bytes() == before


def test_rejects_to_overwrite_what_it_did_not_write(tmp_path):
    with pytest.raises(FileExistsError, match=r"has no fingerprint\.json; it is not overwritten"):
        check_output(tmp_path, overwrite=True)


def test_a_failure_leaves_nothing(write, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(bundle_writing, "write_manifest", fail)
    with pytest.raises(OSError, match="the disk is full"):
        write()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set"]
