from __future__ import annotations

import pytest
import torch

from medkd.export.network_formats import BACKENDS, backend_network, backends, choose_backend
from medkd.runs import open_deployment


@pytest.mark.parametrize("spatial_dims", [2, 3])
@pytest.mark.parametrize("backend", ["auto", "torch", "torchscript", "onnx"])
def test_says_what_the_student_says(small_run, backend, spatial_dims):
    if backend == "onnx":
        pytest.importorskip("onnxruntime")
    run = open_deployment(small_run(spatial_dims), device="cpu")
    network = backend_network(run, backend)
    for batch in (4, 1):
        window = torch.randn(batch, run.num_channels, *run.window_size)
        with torch.no_grad():
            torch.testing.assert_close(network(window), run.network(window), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_says_what_the_student_says(small_run):
    run = open_deployment(small_run(2), device="cpu")
    network = backend_network(run, "compile")
    window = torch.randn(2, run.num_channels, *run.window_size)
    try:
        logits = network(window)
    except RuntimeError as error:
        if "C++ compiler" not in str(error):
            raise
        pytest.skip("torch.compile has no compiler here")
    with torch.no_grad():
        torch.testing.assert_close(logits, run.network(window), rtol=0, atol=1e-5)


def test_rejects_a_conversion_that_differs(small_run, monkeypatch):
    monkeypatch.setattr(backends, "convert_to_torchscript", lambda *_, **__: torch.zeros_like)
    run = open_deployment(small_run(3), device="cpu")
    network = backend_network(run, "torchscript")
    with pytest.raises(RuntimeError, match="Expected the backend torchscript to give"):
        network(torch.randn(1, 1, *run.window_size))


class TestChooseBackend:
    def test_what_is_asked_for_is_taken(self):
        assert [choose_backend(name) for name in BACKENDS[1:]] == [*BACKENDS[1:]]
        assert choose_backend("torchscript", device="cuda:1") == "torchscript"

    def test_auto_is_the_fastest_that_is_installed(self, monkeypatch):
        monkeypatch.setattr(backends, "_FASTEST_ON_CPU", {2: "onnx", 3: "torchscript"})
        monkeypatch.setattr(backends, "find_spec", lambda _: object())
        assert [choose_backend(spatial_dims=dims) for dims in (2, 3)] == ["onnx", "torchscript"]
        assert choose_backend(device="cuda", spatial_dims=2) == "torch"
        monkeypatch.setattr(backends, "find_spec", lambda _: None)
        assert [choose_backend(spatial_dims=dims) for dims in (2, 3)] == ["torch", "torchscript"]

    def test_rejects_what_there_is_not(self):
        with pytest.raises(ValueError, match=r"one of auto, torch, .* but got 'tensorrt'"):
            choose_backend("tensorrt")

    def test_rejects_onnx_on_a_gpu(self):
        with pytest.raises(ValueError, match="to be cpu for the backend onnx, but got cuda"):
            choose_backend("onnx", device="cuda")
