from __future__ import annotations

import copy
import gc
import os
import shutil
import weakref

import pytest
import torch
from monai.networks.nets import BasicUNet, DynUNet, UNet
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from medkd.networks import FeatureTaps, feature_shapes


@pytest.fixture(params=[(32, 48), (32, 32, 16)], ids=["2d", "3d"])
def image(request):
    return torch.randn(2, 1, *request.param, generator=torch.Generator().manual_seed(0))


def basic_unet(image):
    torch.manual_seed(0)
    return BasicUNet(image.dim() - 2, 1, 3, (4, 4, 6, 6, 8, 4))


TAPS = {"encoder": "down_1", "bottleneck": "down_4", "decoder": "upcat_1"}


class TestFeatureTaps:
    def test_features_are_what_the_modules_compute(self, image):
        network = basic_unet(image).eval()
        logits, features = FeatureTaps(network, TAPS)(image)
        torch.testing.assert_close(logits, network(image))
        assert list(features) == list(TAPS)
        first = network.down_1(network.conv_0(image))
        torch.testing.assert_close(features["encoder"], first)
        sizes = [feature.shape[2] for feature in features.values()]
        assert sizes == [image.shape[2] // 2, image.shape[2] // 16, image.shape[2]]

    def test_features_alone_are_the_same_and_spare_what_lies_behind(self, image):
        network = basic_unet(image).eval()
        ran = []
        network.upcat_4.register_forward_hook(lambda *_: ran.append("upcat_4"))
        inner = {"encoder": "down_1", "bottleneck": "down_4"}
        tapped = FeatureTaps(network, inner)
        _, expected = tapped(image)
        assert ran == ["upcat_4"]
        found = tapped.features_of(image)
        assert ran == ["upcat_4"]
        assert list(found) == list(inner)
        for name in inner:
            assert torch.equal(found[name], expected[name])
        tapped(image)  # whole again
        assert ran == ["upcat_4"] * 2
        assert not tapped._catch.outputs

    def test_a_run_within_its_own_run_is_refused(self, image):
        """As two threads would: they would take each other's features."""
        network = basic_unet(image)
        tapped = FeatureTaps(network, {"a": "down_1"})
        hook = network.down_2.register_forward_hook(lambda *_: tapped(image))
        with pytest.raises(RuntimeError, match="one run of a tapped network at a time"):
            tapped(image)
        hook.remove()
        assert list(tapped(image)[1]) == ["a"]

    def test_taps_within_taps(self, image):
        """What stops the outer one is no end for the inner one."""

        class Inner(nn.Module):
            def __init__(self):
                super().__init__()
                self.taps = FeatureTaps(basic_unet(image).eval(), TAPS)

            def forward(self, image):
                return self.taps.features_of(image)["decoder"]

        inner = Inner()
        outer = FeatureTaps(inner, {"deep": "taps.network.down_2"})
        found = outer.features_of(image)["deep"]
        torch.testing.assert_close(found, outer(image)[1]["deep"])
        assert list(outer.features_of(image)) == ["deep"]
        assert not inner.taps._catch.outputs

    def test_what_is_overwritten_in_place_is_given_as_it_was(self, image):
        network = nn.Sequential(nn.Flatten(2), nn.BatchNorm1d(1), nn.ReLU(inplace=True)).eval()
        taps = FeatureTaps(network, {"norm": "1"})
        feature = taps(image)[1]["norm"]
        torch.testing.assert_close(feature, network[1](image.flatten(2)))
        assert feature.min() < 0

    def test_gradients_flow_from_the_features_into_the_network(self, image):
        tapped = FeatureTaps(basic_unet(image), TAPS)
        _, features = tapped(image)
        features["bottleneck"].square().mean().backward()
        network = tapped.network
        assert network.conv_0.conv_0.conv.weight.grad.abs().sum() > 0
        assert network.upcat_1.convs.conv_0.conv.weight.grad is None

    def test_nothing_is_kept_after_a_step(self, image):
        tapped = FeatureTaps(basic_unet(image), TAPS)
        for _ in range(3):
            logits, features = tapped(image)
            kept = weakref.ref(features["encoder"])
            (logits.mean() + features["encoder"].mean()).backward()
            del logits, features
            gc.collect()
            assert kept() is None
        assert not tapped._catch.outputs

    def test_nothing_is_kept_after_an_error(self, image):
        tapped = FeatureTaps(basic_unet(image), TAPS)
        with pytest.raises(RuntimeError, match="channels"):
            tapped(torch.cat([image, image], dim=1))
        assert not tapped._catch.outputs
        tapped.network.upcat_1.register_forward_hook(_fail)
        with pytest.raises(ArithmeticError):
            tapped(image)
        assert not tapped._catch.outputs

    def test_state_and_parameters_are_those_of_the_network(self, image):
        network = basic_unet(image)
        tapped = FeatureTaps(network, TAPS)
        assert list(tapped.parameters()) == list(network.parameters())
        assert {name.removeprefix("network.") for name in tapped.state_dict()} == set(
            network.state_dict()
        )

    def test_two_taps_of_one_network_do_not_mix(self, image):
        network = basic_unet(image).eval()
        first = FeatureTaps(network, {"a": "down_1"})
        second = FeatureTaps(network, {"a": "down_2", "b": "down_1"})
        one, two = first(image)[1], second(image)[1]
        assert torch.equal(one["a"], two["b"])
        assert list(one) == ["a"]

    def test_under_autocast_features_are_half(self, image):
        tapped = FeatureTaps(basic_unet(image), TAPS)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _, features = tapped(image)
        assert features["encoder"].dtype == torch.bfloat16
        features["encoder"].float().mean().backward()

    @pytest.mark.parametrize("kind", ["unet", "deep-supervision"])
    def test_any_network(self, image, kind):
        dims = image.dim() - 2
        if kind == "unet":
            network, path = UNet(dims, 1, 2, (4, 8, 8), (2, 2)), "model.1.submodule.0"
        else:
            network = DynUNet(
                dims, 1, 2, kernel_size=[3] * 3, strides=[1, 2, 2], upsample_kernel_size=[2, 2],
                filters=[4, 6, 8], deep_supervision=True, deep_supr_num=1,
            )  # fmt: skip
            path = "bottleneck"
        logits, features = FeatureTaps(network, {"inner": path})(image)
        assert features["inner"].shape[:2] == (2, 8)
        assert logits.shape[0] == 2

    @pytest.mark.parametrize("how", ["deepcopy", "average", "saved"])
    def test_a_copy_catches_for_itself(self, image, how, tmp_path):
        tapped = FeatureTaps(basic_unet(image).eval(), TAPS)
        expected = tapped(image)
        if how == "deepcopy":
            copied = copy.deepcopy(tapped)
        elif how == "average":
            copied = AveragedModel(tapped).eval()
        else:
            torch.save(tapped, tmp_path / "tapped.pt")
            copied = torch.load(tmp_path / "tapped.pt", weights_only=False)
        torch.nn.init.zeros_(tapped.network.down_1.convs.conv_0.conv.weight)
        torch.testing.assert_close(copied(image), expected)
        _, features = tapped(image)
        assert not torch.equal(features["encoder"], expected[1]["encoder"])
        assert not tapped._catch.outputs

    def test_removed_it_leaves_the_network_as_it_was(self, image):
        network = basic_unet(image)
        first, second = FeatureTaps(network, TAPS), FeatureTaps(network, {"a": "down_2"})
        first.remove()
        for call in (first, first.features_of):
            with pytest.raises(RuntimeError, match="taps that are on their network, but they were"):
                call(image)
        assert list(second(image)[1]) == ["a"]
        second.remove()
        second.remove()
        assert not any(module._forward_hooks for module in network.modules())

    @pytest.mark.slow
    @pytest.mark.skipif(shutil.which("g++") is None, reason="inductor needs a compiler")
    @pytest.mark.filterwarnings("ignore")
    def test_compiled_to_machine_code_it_is_one_graph_with_the_same_gradients(self, image):
        """A DynUNet: inductor fails in the backward pass of BasicUNet itself (torch 2.13)."""
        torch.manual_seed(0)
        network = DynUNet(
            image.dim() - 2, 1, 2, kernel_size=[3] * 3, strides=[1, 2, 2],
            upsample_kernel_size=[2, 2], filters=[4, 6, 8],
        )  # fmt: skip
        tapped = FeatureTaps(network.double(), {"a": "downsamples.0", "b": "bottleneck"})
        found = []
        torch._dynamo.reset()
        for module in (tapped, torch.compile(tapped, fullgraph=True)):
            for _ in range(2):  # the second step finds nothing of the first
                tapped.zero_grad()
                logits, features = module(image.double())
                loss = logits.mean() + sum(each.square().mean() for each in features.values())
                loss.backward()
            gradients = [p.grad for p in tapped.parameters() if p.grad is not None]
            found.append((logits, features, gradients))
        torch.testing.assert_close(found[1], found[0])
        assert not tapped._catch.outputs

    @pytest.mark.slow
    @pytest.mark.filterwarnings("ignore")
    def test_compiled_it_gives_the_same(self, image):
        tapped = FeatureTaps(basic_unet(image).eval(), TAPS)
        expected = tapped(image)
        found = torch.compile(tapped, backend="eager")(image)
        torch.testing.assert_close(found, expected)
        assert not tapped._catch.outputs

    def test_distributed_it_gives_the_same_gradients(self, image, tmp_path):
        single, together = (FeatureTaps(basic_unet(image), TAPS) for _ in range(2))
        torch.distributed.init_process_group(
            "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
        )
        try:
            wrapped = DistributedDataParallel(together)
            for network in (single, wrapped):
                torch.manual_seed(0)
                logits, features = network(image)
                (logits.mean() + features["bottleneck"].square().mean()).backward()
        finally:
            torch.distributed.destroy_process_group()
        for one, other in zip(single.parameters(), together.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad)


class TestRejects:
    def test_a_path_that_does_not_exist(self, image):
        network = basic_unet(image)
        match = r"'encoder' .* no 'down_5'. Did you mean 'down_\d'\? There are conv_0, down_1, "
        with pytest.raises(ValueError, match=match) as raised:
            FeatureTaps(network, {"encoder": "down_5"})
        listed = str(raised.value).split("There are ")[1].split(". `")[0].split(", ")
        assert sorted(listed) == sorted(path for path, _ in network.named_modules() if path)
        assert not any(module._forward_hooks for module in network.modules())

    def test_the_root(self):
        with pytest.raises(ValueError, match="there is no ''"):
            FeatureTaps(nn.Sequential(nn.Identity()), {"all": ""})

    @pytest.mark.parametrize(
        ("network", "match"),
        [
            (nn.Sequential(nn.Flatten()), r"to give a feature map .* got torch.float32 of shape"),
            (nn.Sequential(nn.RNN(6, 2)), "to give a feature map .* but got tuple"),
        ],
    )
    def test_what_is_no_feature_map(self, network, match):
        with pytest.raises(ValueError, match=match):
            FeatureTaps(network, {"a": "0"})(torch.zeros(1, 4, 6))

    def test_a_module_that_runs_twice_or_never(self):
        class Twice(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv, self.spare = nn.Conv1d(2, 2, 1), nn.Conv1d(2, 2, 1)

            def forward(self, image):
                return self.conv(self.conv(image))

        for path, match in (("conv", "but it ran more often"), ("spare", "but it did not run")):
            with pytest.raises(ValueError, match=match):
                FeatureTaps(Twice(), {"a": path})(torch.zeros(1, 2, 4))
        assert feature_shapes(Twice(), torch.zeros(1, 2, 4)) == {}


def _fail(*_):
    raise ArithmeticError(os.strerror(0))
