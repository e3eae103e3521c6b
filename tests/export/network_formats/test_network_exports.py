"""The files, from a run on."""

from __future__ import annotations

import copy
import json
import sys

import nibabel
import numpy as np
import pytest
import torch
from monai.data import load_net_with_metadata

from medkd.export.network_formats import (
    OUTPUT_TOLERANCE,
    OnnxNetwork,
    check_outputs,
    export_onnx,
    export_torchscript,
    onnx_export,
    torchscript_export,
)
from medkd.files import sha256_of
from medkd.runs import open_deployment

EXPORTS = {"onnx": (export_onnx, "model.onnx"), "torchscript": (export_torchscript, "model.ts")}
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")


@pytest.fixture(params=EXPORTS)
def export(request):
    if request.param == "onnx":
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    return EXPORTS[request.param]


def load(path):
    """A network and its description, as somebody without medkd would."""
    if path.suffix == ".ts":
        script, description, _ = load_net_with_metadata(str(path))
        return script, description
    import onnx

    (entry,) = onnx.load(path).metadata_props
    assert entry.key == "medkd"
    return OnnxNetwork(path), json.loads(entry.value)


@pytest.mark.parametrize("kind", [2, 3, "slices"])
def test_file_is_the_student(small_run, tmp_path, export, kind):
    run_dir = small_run(kind)
    function, name = export
    exported = function(run_dir, tmp_path / "new" / "folder")
    assert exported.path == tmp_path / "new" / "folder" / name
    assert exported.num_windows == {2: 4, 3: 5, "slices": 4}[kind]
    assert exported.max_difference <= OUTPUT_TOLERANCE
    network, description = load(exported.path)
    run = open_deployment(run_dir, device="cpu")
    windows = [torch.randn(3, run.num_channels, *run.window_size)]
    check_outputs(run.network, network, windows, name="it")
    assert description["weights_sha256"] == sha256_of(run_dir / "models" / "model.pt")
    assert description["class_names"] == run.class_names
    assert description["window_size"] == list(run.window_size)
    assert ("spacing" in description) == (kind == 3)
    assert description.get("slice_axis") == (2 if kind == "slices" else None)
    assert description["max_difference"] == exported.max_difference
    assert str(tmp_path) not in json.dumps(description)
    assert str(tmp_path).encode() not in exported.path.read_bytes()


def test_compares_on_the_image_that_is_given(small_run, tmp_path, export):
    run_dir = small_run(3)
    (run_dir / "config.json").unlink()
    values = np.random.default_rng(0).normal(40, 90, (30, 20, 9)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "scan.nii.gz")
    exported = export[0](run_dir, tmp_path / "out", image=tmp_path / "scan.nii.gz")
    assert load(exported.path)[1]["class_names"][:2] == ["background", "class 1"]


def test_rejects_a_run_without_an_image_to_compare_on(small_run, tmp_path, export):
    run_dir = small_run(3)
    (run_dir / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="Expected an image to compare outputs on"):
        export[0](run_dir, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rejects_a_file_that_exists(small_run, tmp_path, export):
    function, name = export
    (tmp_path / name).touch()
    with pytest.raises(FileExistsError, match=f"Expected a new file for the export, but .*{name}"):
        function(small_run(3), tmp_path)


def test_rejects_a_conversion_that_differs(small_run, tmp_path, export, monkeypatch):
    """Weights that are not the student's, as an exporter may mix up."""
    module = onnx_export if export[1] == "model.onnx" else torchscript_export
    name = "convert_to_onnx" if module is onnx_export else "convert_to_torchscript"
    convert = getattr(module, name)

    def convert_another(network, window):
        another = copy.deepcopy(network)
        for parameter in another.parameters():
            parameter.data += 0.01
        return convert(another, window)

    monkeypatch.setattr(module, name, convert_another)
    with pytest.raises(RuntimeError, match="to give PyTorch's logits within"):
        export[0](small_run(3), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_rejects_onnx_where_it_is_not_installed(small_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(RuntimeError, match=r"Expected onnx to be installed.*medkd\[onnx\]"):
        export_onnx(small_run(3), tmp_path)
