from __future__ import annotations

import pytest
import torch
from monai.networks.nets import UNETR, BasicUNet, DynUNet, SwinUNETR, UNet
from torch import nn

from medkd.networks import FeatureTaps, feature_channels, feature_shapes

TAPS = {"encoder": "down_1", "bottleneck": "down_4", "decoder": "upcat_1"}


@pytest.fixture(params=[(32, 48), (32, 32, 16)], ids=["2d", "3d"])
def image(request):
    return torch.randn(2, 1, *request.param, generator=torch.Generator().manual_seed(0))


def basic_unet(image):
    return BasicUNet(image.dim() - 2, 1, 3, (4, 4, 6, 6, 8, 4))


class TestFeatureShapes:
    def test_are_those_of_the_features_in_the_order_of_the_run(self, image):
        network = basic_unet(image)
        shapes = feature_shapes(network, image)
        _, features = FeatureTaps(network, TAPS)(image)
        assert {name: shapes[path] for name, path in TAPS.items()} == {
            name: tuple(feature.shape) for name, feature in features.items()
        }
        order = [path for path in shapes if path in TAPS.values()]
        assert order == ["down_1", "down_4", "upcat_1"]

    def test_an_image_that_the_network_does_not_take(self):
        network = DynUNet(2, 1, 2, [3] * 3, [1, 2, 2], [2, 2], filters=[4, 4, 4])
        match = r"`patch_size`.* a DynUNet takes, but got shape \(1, 1, 8, 10\): "
        with pytest.raises(ValueError, match=match):
            feature_shapes(network, torch.zeros(1, 1, 8, 10))
        assert network.training
        assert not any(module._forward_hooks for module in network.modules())

    @pytest.mark.parametrize("kind", ["unet", "module of two paths", "tied weights"])
    def test_the_network_is_left_as_it_was(self, image, kind):
        network = UNet(image.dim() - 2, 1, 2, (4, 8), (2,), norm="batch").train()
        if kind == "module of two paths":
            network.again = network.model[1]
        if kind == "tied weights":
            network.model[0].adn.N.bias = network.model[0].conv.bias
        network.model[0].eval()
        weights = list(network.parameters())
        before = {name: value.clone() for name, value in network.state_dict().items()}
        modes = [module.training for module in network.modules()]
        assert feature_shapes(network, image)
        assert all(one is other for one, other in zip(weights, network.parameters(), strict=True))
        network(image)
        network.load_state_dict(before)
        assert [module.training for module in network.modules()] == modes
        assert not any(module._forward_hooks for module in network.modules())
        for name, value in network.state_dict().items():
            assert torch.equal(value, before[name])

    def test_a_transformer_has_maps_only_where_channels_come_first(self):
        network = SwinUNETR(spatial_dims=2, in_channels=1, out_channels=2, feature_size=12)
        shapes = feature_shapes(network, torch.zeros(1, 1, 64, 64))
        assert shapes["swinViT.layers1.0"] == (1, 24, 16, 16)
        assert shapes["encoder10"] == (1, 192, 2, 2)
        assert not [path for path in shapes if path.startswith("swinViT.layers1.0.blocks")]
        with pytest.raises(ValueError, match=r"'swinViT.layers1.0.blocks.0' to give one feature"):
            feature_channels(network, {"a": "swinViT.layers1.0.blocks.0"}, (1, 1, 64, 64))

    def test_a_network_of_one_size_only(self):
        network = UNETR(
            1, 2, (32, 32), feature_size=4, hidden_size=24, mlp_dim=24, num_heads=2, spatial_dims=2
        )
        shapes = feature_shapes(network, torch.zeros(1, 1, 32, 32))
        assert shapes["decoder2"] == (1, 4, 32, 32)
        assert {len(shape) for shape in shapes.values()} == {4}
        with pytest.raises(ValueError, match="what a UNETR takes, but got shape"):
            feature_shapes(network, torch.zeros(1, 1, 64, 64))

    @pytest.mark.parametrize("fails", [False, True])
    def test_nothing_is_computed_unless_it_must_be(self, fails):
        devices = []

        class Watching(nn.Conv2d):
            def forward(self, image):
                devices.append(image.device.type)
                if fails and image.is_meta:
                    raise NotImplementedError
                return super().forward(image)

        network = nn.Sequential(nn.Conv2d(1, 2, 1), Watching(2, 3, 1))
        expected = {"0": (1, 2, 4, 4), "1": (1, 3, 4, 4)}
        assert feature_shapes(network, torch.zeros(1, 1, 4, 4)) == expected
        assert devices == (["meta", "cpu"] if fails else ["meta", "meta"])
        assert network[0].weight.device.type == "cpu"

    def test_a_network_that_remembers_what_it_saw_stays_as_it_was(self):
        class Positions(nn.Conv2d):
            seen = None

            def forward(self, image):
                if self.seen is None:
                    self.seen = torch.linspace(0, 1, image.shape[-1], device=image.device)
                return super().forward(image) + self.seen

        network = Positions(1, 3, 1)
        feature_shapes(network, torch.zeros(1, 1, 4, 4))
        assert network.seen is None
        network(torch.zeros(1, 1, 4, 4))
        wrapped = nn.Sequential(network)
        assert feature_shapes(wrapped, torch.zeros(1, 1, 4, 4)) == {"0": (1, 3, 4, 4)}
        assert network(torch.zeros(1, 1, 4, 4)).device.type == "cpu"

    def test_a_network_that_asserts_its_size(self):
        class OneSize(nn.Conv2d):
            def forward(self, image):
                assert image.shape[2:] == (4, 4)
                return super().forward(image)

        network = nn.Sequential(OneSize(1, 3, 1))
        assert feature_shapes(network, torch.zeros(1, 1, 4, 4)) == {"0": (1, 3, 4, 4)}
        with pytest.raises(ValueError, match="what a Sequential takes, but got shape"):
            feature_shapes(network, torch.zeros(1, 1, 8, 4))

    def test_weights_that_a_module_computes_are_no_features(self):
        network = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 3)))
        assert feature_shapes(network, torch.zeros(2, 1, 8, 8)) == {"0": (2, 4, 6, 6)}


class TestFeatureChannels:
    def test_are_those_of_the_modules(self):
        network = BasicUNet(2, 1, 3, (4, 4, 6, 6, 8, 4))
        paths = {"first": "conv_0", "last": "down_4"}
        assert feature_channels(network, paths, (1, 1, 32, 32)) == {"first": 4, "last": 8}

    def test_rejects_what_does_not_exist_or_is_no_feature_map(self):
        network = BasicUNet(2, 1, 3, (4, 4, 6, 6, 8, 4))
        with pytest.raises(ValueError, match="no 'down_9'"):
            feature_channels(network, {"a": "down_9"}, (1, 1, 32, 32))
        network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.Flatten())
        with pytest.raises(ValueError, match=r"'1' to give one feature map a run, .* there are 0"):
            feature_channels(network, {"a": "1"}, (1, 1, 8, 8))
