"""Each mistake ends in one clear sentence, and leaves nothing half-done."""

import contextlib
import errno
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import medkd
from medkd.errors import sentence_of

OWN = {"log.txt", ".lock"}  # what a refused run may write


def _refusal(call, **overrides):
    """What a user reads of the error that a run ends with; MONAI wraps it in errors of its own."""
    try:
        call(**overrides)
    except Exception as error:
        return sentence_of(error) or pytest.fail(f"No sentence of ours in {error!r}.")
    return pytest.fail("The run was not refused.")


@pytest.fixture
def data(phantom_dir, tmp_path):
    """A copy of the data set that a test may spoil."""
    folder = tmp_path / "data"
    shutil.copytree(phantom_dir, folder)
    return folder


@pytest.fixture
def refused(run_bundle, small, data, tmp_path):
    """Runs the bundle, which must be refused, and gives the sentence."""

    def run(files=("train.json",), **overrides):
        settings = {**small, "dataset_dir": str(data), "manifest": str(data / "manifest.json")}
        settings = {**settings, "output_dir": str(tmp_path / "run"), **overrides}
        sentence = _refusal(run_bundle, files=files, **settings)
        assert not list(tmp_path.rglob("*.tmp"))
        assert not list((tmp_path / "run").rglob("model.pt"))
        return sentence

    return run


def _read(path):
    with Image.open(path) as picture:
        return np.array(picture)


def _edit(manifest, change):
    content = json.loads(manifest.read_text())
    change(content)
    manifest.write_text(json.dumps(content))


def _first(data, key="image"):
    content = json.loads((data / "manifest.json").read_text())
    case_id = content["splits"]["train"][0]
    return data / next(case[key] for case in content["cases"] if case["case_id"] == case_id)


@pytest.mark.parametrize("name", ["output_dir", "dataset_dir", "manifest", "members_dir"])
def test_a_path_that_monai_rewrites(refused, data, tmp_path, name):
    before = set(tmp_path.rglob("*"))
    sentence = refused(**{name: str(data / "a#1")})
    assert f"`{name}` to be a path without '#' and '::'" in sentence
    assert "a::1'" in sentence
    assert set(tmp_path.rglob("*")) == before


def test_missing_file(refused, data):
    path = _first(data)
    path.unlink()
    assert path.name in refused()


def test_label_of_another_size(refused, data):
    path = _first(data, "label")
    Image.fromarray(_read(path)).resize((50, 40), Image.Resampling.NEAREST).save(path)
    sentence = refused()
    assert path.name in sentence
    assert "(50, 40)" in sentence


def test_label_value_outside_the_manifest(refused, data):
    path = _first(data, "label")
    values = _read(path)
    values[3, 4] = 77
    Image.fromarray(values).save(path)
    sentence = refused()
    assert path.name in sentence
    assert "77" in sentence


def test_image_of_one_value(refused, data):
    path = _first(data)
    Image.fromarray(np.full((64, 64, 3), 9, np.uint8)).save(path)
    assert path.name in refused()


def test_truncated_image(refused, data):
    path = _first(data)
    path.write_bytes(path.read_bytes()[:300])
    assert path.name in refused()


def test_patient_in_two_splits(refused, data):
    def leak(content):
        content["cases"][0]["patient"] = content["cases"][-1]["patient"]

    _edit(data / "manifest.json", leak)
    assert "patient" in refused()


def test_empty_split(refused, data):
    _edit(data / "manifest.json", lambda content: content["splits"].update(train=[]))
    assert "train" in refused()


def test_misspelt_override(refused):
    assert refused(tempratur=3) == (
        "Expected an override of an id that exists, but got `tempratur`. "
        "Did you mean `distillation_temperature`?"
    )


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        ({"distillation_temperature": -1}, "temperature"),
        ({"distillation_weight": 1.5}, "distillation_weight"),
        ({"num_members": 0}, "num_members"),
        ({"bundle_root": "nowhere"}, "bundle_root"),
    ],
)
def test_value_out_of_range(refused, overrides, part):
    assert part in refused(**overrides)


def test_checkpoint_of_another_architecture(run_bundle, small, tmp_path):
    output_dir = tmp_path / "run"
    run_bundle(**small, output_dir=str(output_dir))
    model_file = output_dir / "models" / "model.pt"
    state = torch.load(model_file, weights_only=True)
    torch.save({f"{name}_old": value for name, value in state.items()}, model_file)
    overrides = {**small, "output_dir": str(output_dir)}
    sentence = _refusal(
        run_bundle, run_id="evaluating", files=("train.json", "evaluate.json"), **overrides
    )
    assert "model.pt" in sentence
    assert "another architecture" in sentence


def test_other_settings_in_the_same_folder_are_refused_and_nothing_is_lost(
    run_bundle, small, tmp_path
):
    output_dir = tmp_path / "run"
    run_bundle(**small, output_dir=str(output_dir))
    before = {path: path.read_bytes() for path in output_dir.rglob("*.*") if path.name not in OWN}
    for overrides, name in [
        ({"distillation_temperature": 5.0}, "distillation_temperature"),
        ({"learning_rate": 0.1}, "learning_rate"),
    ]:
        sentence = _refusal(run_bundle, **{**small, **overrides}, output_dir=str(output_dir))
        assert f"`{name}` was" in sentence
    after = {path: path.read_bytes() for path in output_dir.rglob("*.*") if path.name not in OWN}
    assert after == before


def test_command_ends_with_one_sentence_and_a_status(run_command, small, tmp_path):
    result = run_command(**small, output_dir=tmp_path / "run", tempratur=3)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert (
        "medkd: error: Expected an override of an id that exists, but got `tempratur`"
        in result.stderr
    )


def test_device_that_is_not_there(refused):
    assert "Expected `device`" in refused(device="cuda:63")


def test_full_disk(refused, monkeypatch):
    write = medkd.networks.weights.atomic_write

    @contextlib.contextmanager
    def on_a_full_disk(path):
        with write(path) as file:
            yield file
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(medkd.networks.weights, "atomic_write", on_a_full_disk)
    sentence = refused()
    assert "checkpoint.pt" in sentence
    assert "No space left on device" in sentence
