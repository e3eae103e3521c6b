from __future__ import annotations

import pytest
import torch
from monai.networks.nets import BasicUNet, UNet

from medkd.teachers import FeatureTeacher


def members():
    torch.manual_seed(0)
    return [BasicUNet(2, 1, 2, (4, 4, 6, 6, 8, 4), norm="batch") for _ in range(2)]


@pytest.fixture
def image():
    return torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))


def test_gives_the_feature_of_each_member(image):
    networks = members()
    teacher = FeatureTeacher(networks, {"inner": "down_1"})
    features = teacher(image)["inner"]
    for network, feature in zip(networks, features, strict=True):
        torch.testing.assert_close(feature, network.eval().down_1(network.conv_0(image)))


def test_cannot_be_woken(image):
    teacher = FeatureTeacher(members(), {"inner": "down_1"}).train()
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    assert not any(module.training for module in teacher.modules())
    features = teacher(image.requires_grad_())
    assert not any(feature.requires_grad for feature in features["inner"])
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[name])


def test_members_of_several_architectures_have_paths_of_their_own(image):
    networks = [members()[0], UNet(2, 1, 2, (5, 7), (2,))]
    teacher = FeatureTeacher(networks, [{"inner": "down_1"}, {"inner": "model.0"}])
    assert [feature.shape[1] for feature in teacher(image)["inner"]] == [4, 5]
    assert teacher.channels((1, 1, 32, 32)) == {"inner": [4, 5]}


def test_rejects():
    with pytest.raises(ValueError, match="at least one network, but got none"):
        FeatureTeacher([], {"inner": "down_1"})
    with pytest.raises(ValueError, match="same names for each of 2 members"):
        FeatureTeacher(members(), [{"inner": "down_1"}])
    with pytest.raises(ValueError, match="same names for each of 2 members"):
        FeatureTeacher(members(), [{"inner": "down_1"}, {"outer": "down_1"}])
