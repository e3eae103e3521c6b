from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from monai.networks.nets import BasicUNet
from torch import nn

from medkd.export.network_formats import (
    CompiledNetwork,
    OnnxNetwork,
    check_outputs,
    convert_to_onnx,
    convert_to_torchscript,
)


class Unscriptable(nn.Module):
    """Python that TorchScript does not know."""

    def forward(self, window):
        return window * max((number for number in (1.0, 2.0)), key=float)


@pytest.mark.parametrize("for_inference", [False, True])
def test_torchscript_equals_pytorch(network, patch_size, windows, for_inference):
    script = convert_to_torchscript(
        network, torch.zeros(1, 2, *patch_size), for_inference=for_inference
    )
    assert check_outputs(network, script, windows, name="it") < 1e-5


def test_torchscript_traces_what_it_cannot_read():
    script = convert_to_torchscript(Unscriptable().eval(), torch.zeros(1, 1, 4))
    assert script(torch.ones(3, 1, 5)).unique().tolist() == [2]


def test_torchscript_keeps_branches():
    """Odd sides are padded by BasicUNet, which a trace at even ones would not."""
    network = BasicUNet(2, 1, 2, features=[4] * 6).eval()
    script = convert_to_torchscript(network, torch.zeros(1, 1, 32, 32))
    check_outputs(network, script, [torch.randn(1, 1, 37, 41)], name="it")


class TestOnnx:
    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("onnxruntime")

    def test_equals_pytorch(self, network, patch_size, windows):
        model = convert_to_onnx(network, torch.zeros(1, 2, *patch_size))
        assert check_outputs(network, OnnxNetwork(model), windows, name="it") < 1e-5

    def test_equals_the_convolution_by_hand(self, tmp_path):
        network = nn.Conv2d(1, 2, kernel_size=1).eval()
        path = tmp_path / "model.onnx"
        path.write_bytes(convert_to_onnx(network, torch.zeros(1, 1, 2, 2)))
        window = torch.randn(2, 1, 3, 5)
        weight, bias = (p.detach().numpy().ravel() for p in (network.weight, network.bias))
        expected = window.numpy() * weight[:, None, None] + bias[:, None, None]
        np.testing.assert_allclose(OnnxNetwork(path)(window).numpy(), expected, rtol=1e-6)

    def test_rejects_windows_that_it_does_not_take(self):
        model = convert_to_onnx(nn.Conv2d(1, 2, kernel_size=1).eval(), torch.zeros(1, 1, 2, 2))
        with pytest.raises(RuntimeError, match=r"windows that the ONNX model takes, but \(1, 3, 2"):
            OnnxNetwork(model)(torch.zeros(1, 3, 2, 2))

    def test_rejects_what_is_no_model(self, tmp_path):
        path = tmp_path / "model.onnx"
        path.write_bytes(b"not a model")
        with pytest.raises(ValueError, match=r"Expected .*model\.onnx to be an ONNX model, but"):
            OnnxNetwork(path)
        with pytest.raises(ValueError, match="Expected `model` to be an ONNX model, but got"):
            OnnxNetwork(b"not a model")

    def test_rejects_to_run_without_its_runtime(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "onnxruntime", None)
        with pytest.raises(RuntimeError, match=r"pip install 'medkd\[onnx\]'"):
            OnnxNetwork(b"")


class TestCompiledNetwork:
    def test_fills_batches_up(self, monkeypatch):
        sizes = []

        def network(window):
            sizes.append(len(window))
            return window + 1

        monkeypatch.setattr(torch, "compile", lambda module: module)
        compiled = CompiledNetwork(network)
        for batch in (4, 4, 3):
            window = torch.randn(batch, 1, 5)
            torch.testing.assert_close(compiled(window), window + 1)
        assert sizes == [4, 4, 4]

    def test_rejects_what_cannot_be_compiled(self, monkeypatch):
        def broken(_):
            raise RuntimeError("no g++\nmore")

        monkeypatch.setattr(torch, "compile", lambda _: broken)
        with pytest.raises(RuntimeError, match=r"C\+\+ compiler, but got: no g\+\+\.$"):
            CompiledNetwork(nn.Identity())(torch.zeros(1, 1, 2))
