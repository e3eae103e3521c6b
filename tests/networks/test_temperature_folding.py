"""A temperature in a network's weights: exact, for the networks that a student may be."""

from __future__ import annotations

import math

import pytest
import torch
from monai.networks.blocks import ResidualUnit
from monai.networks.nets import (
    UNETR,
    AttentionUnet,
    BasicUNet,
    DynUNet,
    SegResNet,
    SwinUNETR,
    UNet,
    VNet,
)
from torch import nn

from medkd.networks import TemperedNetwork, fold_temperature
from medkd.networks.temperature_folding import _scale

TWO, THREE = (24, 16), (16, 8, 24)
UNET = {"channels": (4, 8), "strides": (2,), "in_channels": 2, "out_channels": 3}
KERNELS = {"kernel_size": [3] * 3, "strides": [1, 2, 2], "upsample_kernel_size": [2, 2]}


def make_dyn_unet(dims, **more):
    return DynUNet(
        spatial_dims=dims, in_channels=2, out_channels=3, filters=(4, 8, 8), **KERNELS, **more
    )


NETWORKS = {
    "basic unet": (lambda: BasicUNet(2, 2, 3, features=(4,) * 6, norm="batch"), (32, 16)),
    "basic unet 3d": (lambda: BasicUNet(3, 2, 3, features=(4,) * 6), (32, 16, 16)),
    "unet": (lambda: UNet(2, **UNET), TWO),
    "unet 3d, residual": (lambda: UNet(3, **UNET, num_res_units=2, norm="batch"), THREE),
    "unet, residual, dropout": (lambda: UNet(2, **UNET, num_res_units=1, dropout=0.5), TWO),
    "unet, kernel 5": (lambda: UNet(2, **UNET, num_res_units=2, up_kernel_size=5), TWO),
    "unit with a layer beside": (
        lambda: ResidualUnit(3, 2, 3, subunits=2, last_conv_only=True),
        THREE,
    ),
    "unet, one channel": (lambda: UNet(2, **UNET | {"out_channels": 1}, num_res_units=2), TWO),
    "dynunet": (lambda: make_dyn_unet(3), THREE),
    "dynunet 2d": (lambda: make_dyn_unet(2, res_block=True), TWO),
    "segresnet": (lambda: SegResNet(3, 8, in_channels=2, out_channels=3), THREE),
    "segresnet 2d": (lambda: SegResNet(2, 8, in_channels=2, out_channels=3), TWO),
    "attention unet": (lambda: AttentionUnet(2, 2, 3, channels=(4, 8), strides=(2,)), TWO),
    "attention unet 3d": (lambda: AttentionUnet(3, 2, 3, channels=(4, 8), strides=(2,)), THREE),
    "vnet": (lambda: VNet(3, 2, 3), (16, 16, 32)),
    "swin unetr": (lambda: SwinUNETR(2, 3, feature_size=12, spatial_dims=2), (64, 32)),
    "unetr": (
        lambda: UNETR(
            *(2, 3, (16, 32)),
            feature_size=4,
            hidden_size=24,
            mlp_dim=24,
            num_heads=2,
            spatial_dims=2,
        ),
        (16, 32),
    ),
}


def made(build, size):
    """A network whose norms have seen something, and a window."""
    torch.manual_seed(3)
    network = build()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
    return network.eval(), torch.randn(1, 2, *size)


@pytest.mark.parametrize("temperature", [0.5, 3.7])
@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_divides_the_logits_and_fits_the_same_definition(name, temperature):
    build, size = NETWORKS[name]
    network, window = made(build, size)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold_temperature(network, temperature, window)
    plain = build().eval()
    plain.load_state_dict(folded.state_dict())  # of the same names and shapes, or it is refused
    other = torch.randn(2, 2, *size)  # one that the proof has not seen
    expected = network(other) / temperature
    assert (plain(other) - expected).abs().max() <= 1e-5 * network(other).abs().max()
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


@torch.no_grad()
def test_of_a_residual_unit_is_the_closed_form():
    """W' = (W + d)/T - d where the layer's input h is added; W/T is off by h (1 - 1/T)."""
    network, window = made(lambda: UNet(2, **UNET, num_res_units=2), TWO)
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    folded = fold_temperature(network, 2.0, window)
    changed = [module for module in folded.modules() if isinstance(module, nn.Conv2d)][-1]
    identity = torch.zeros_like(last.weight)
    for channel in range(3):
        identity[channel, channel, 1, 1] = 1
    torch.testing.assert_close(changed.weight, (last.weight + identity) / 2 - identity)
    torch.testing.assert_close(changed.bias, last.bias / 2)


@torch.no_grad()
def test_a_fold_that_is_wrong_does_not_pass_its_proof(monkeypatch):
    """The naive fold of a residual unit."""
    monkeypatch.setattr(
        "medkd.networks.temperature_folding._scale",
        lambda layer, temperature, **_: _scale(layer, temperature),
    )
    network, window = made(lambda: UNet(2, **UNET, num_res_units=2), TWO)
    assert fold_temperature(network, 2.0, window) is None


class _TwoSums(nn.Module):
    """Logits that two layers give together."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1)

    def forward(self, image):
        return self.one(image) + self.two(image)


class _Tied(nn.Module):
    """A last layer that is an earlier one, too."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(2, 2, 1)

    def forward(self, image):
        return self.layer(self.layer(image).relu())


class _TiedBeforeANorm(nn.Module):
    """Weights that a norm makes free of scale, so that only a dark image shows they are shared."""

    def __init__(self, *, is_one_layer):
        super().__init__()
        self.first = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.last = self.first if is_one_layer else nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.last.weight = self.first.weight
        self.norm = nn.InstanceNorm2d(2)
        nn.init.dirac_(self.first.weight)
        with torch.no_grad():
            self.first.weight *= 10

    def forward(self, image):
        return self.last(self.norm(self.first(image)).relu())


class _Limited(nn.Module):
    """Logits within limits that no image of the proof comes near."""

    def __init__(self, *, in_place):
        super().__init__()
        self.layer = nn.Conv2d(2, 3, 1)
        self.limit = nn.Hardtanh(-100, 100, inplace=in_place)

    def forward(self, image):
        return self.limit(self.layer(image))


class _HeadOnTheWay(nn.Module):
    """A head of deep supervision that the logits come through, too."""

    def __init__(self):
        super().__init__()
        self.deep_supervision_heads = nn.ModuleList([nn.Conv2d(2, 4, 1)])
        self.last = nn.Conv2d(4, 3, 1)

    def forward(self, image):
        return self.last(self.deep_supervision_heads[0](image).relu())


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(2, 3, 1), nn.Tanh()),
        nn.Sequential(nn.Conv2d(2, 3, 1), nn.Softmax(dim=1)),
        nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 1))),
        _TwoSums(),
        _Tied(),
        _TiedBeforeANorm(is_one_layer=True),
        _TiedBeforeANorm(is_one_layer=False),
        _Limited(in_place=False),
        _Limited(in_place=True),
        _HeadOnTheWay(),
        ResidualUnit(2, 2, 2, subunits=2, last_conv_only=True),
    ],
    ids=[
        *("tanh", "softmax", "weight norm", "two sums", "tied"),
        *("one layer before a norm and after it", "one weight before a norm and after it"),
        *("limits", "limits in place", "head on the way", "a layer between the sum and the input"),
    ],
)
def test_refuses_what_is_not_one_linear_layer(network):
    generator = torch.Generator().manual_seed(0)
    window = torch.randn(1, 2, 6, 5, generator=generator)
    assert fold_temperature(network, 2.0, window) is None


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
def test_refuses_a_network_that_is_not_copied():
    """The older weight norm keeps its weight as a result with a gradient."""
    network = nn.Sequential(nn.utils.weight_norm(nn.Conv2d(2, 3, 1)))
    assert fold_temperature(network, 2.0, torch.zeros(1, 2, 6, 5)) is None


@torch.inference_mode()
def test_folds_in_inference_mode():
    network, window = made(*NETWORKS["unet, one channel"])
    folded = fold_temperature(network, 2.0, window)
    torch.testing.assert_close(folded(window), network(window) / 2.0)


def test_heads_of_deep_supervision_are_folded_alike():
    network, window = made(
        lambda: DynUNet(
            spatial_dims=2,
            in_channels=2,
            out_channels=3,
            kernel_size=[3] * 4,
            strides=[1, 2, 2, 2],
            upsample_kernel_size=[2] * 3,
            filters=[4, 8, 8, 8],
            norm_name=("instance", {"affine": True}),
            deep_supervision=True,
            deep_supr_num=2,
        ),
        (32, 16),
    )
    folded = fold_temperature(network, 2.0, window)
    with torch.no_grad():
        outputs = network.train()(window), folded.train()(window)
    assert outputs[0].shape == (1, 3, 3, 32, 16)
    torch.testing.assert_close(outputs[1], outputs[0] / 2, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_rejects_a_temperature_that_is_none(temperature):
    with pytest.raises(ValueError, match="`temperature`"):
        fold_temperature(nn.Conv2d(1, 2, 1), temperature, torch.zeros(1, 1, 2, 2))
    with pytest.raises(ValueError, match="`temperature`"):
        TemperedNetwork(nn.Identity(), temperature)


@pytest.mark.filterwarnings("ignore")  # of TorchScript's deprecation, and of branches in a trace
@torch.no_grad()
def test_tempered_network_is_scripted_and_traced():
    network, window = made(lambda: UNet(2, **UNET, num_res_units=2), TWO)
    tempered = TemperedNetwork(network, 2.5).eval()
    expected = network(window) / 2.5
    for converted in (torch.jit.script(tempered), torch.jit.trace(tempered, window)):
        torch.testing.assert_close(converted(window), expected)
