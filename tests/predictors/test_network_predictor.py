from __future__ import annotations

import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch import nn

from medkd.predictors import NetworkPredictor, single_networks

CLASSES = 3


def network(spatial, seed=0):
    torch.manual_seed(seed)
    conv, norm = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}[len(spatial)]
    return nn.Sequential(
        conv(2, 4, 3, padding=1), norm(4), nn.Dropout(0.5), conv(4, CLASSES, 3, padding=1)
    )


def sliding(spatial, mode="gaussian"):
    return SlidingWindowInferer([4] * len(spatial), sw_batch_size=3, overlap=0.5, mode=mode)


def test_is_the_softmax_of_each_member(spatial, image):
    members = [network(spatial, seed) for seed in range(4)]
    probs = NetworkPredictor(members, SimpleInferer())(image)
    assert probs.shape == (4, 2, CLASSES, *spatial)  # (M, B, C, *spatial)
    expected = torch.stack([torch.softmax(m.eval()(image), dim=1) for m in members])
    torch.testing.assert_close(probs, expected)


@pytest.mark.parametrize("mode", ["constant", "gaussian"])
def test_sums_to_one_where_windows_overlap(spatial, image, mode):
    probs = NetworkPredictor([network(spatial)] * 2, sliding(spatial, mode))(image)
    torch.testing.assert_close(probs.sum(dim=2), torch.ones(2, 2, *spatial))
    assert 0 <= probs.min() <= probs.max() <= 1


def test_windows_are_blended_as_probabilities(image, spatial):
    # Each window says another thing: certain of class 0 or of class 1, in turn. Blended logits
    # would be certain nearly everywhere; blended probabilities say how many windows say which.
    class Turns(nn.Module):
        def __init__(self):
            super().__init__()
            self.windows = 0

        def forward(self, window):
            logits = torch.zeros(len(window), 2, *window.shape[2:])
            for case in range(len(window)):
                logits[case, self.windows % 2] = 100.0
                self.windows += 1
            return logits

    inferer = SlidingWindowInferer([4] * len(spatial), overlap=0.5, mode="constant")
    probs = NetworkPredictor([Turns()], inferer)(image[:1])
    shared = (probs > 0.1) & (probs < 0.9)
    assert shared.float().mean() > 0.3


def test_members_sleep_and_no_gradient_is_recorded(spatial, image):
    member = network(spatial).train()
    before = {name: value.clone() for name, value in member.state_dict().items()}
    predictor = NetworkPredictor([member], SimpleInferer())
    first = predictor(image)
    assert not first.requires_grad
    assert torch.equal(first, predictor(image))
    assert all(torch.equal(value, before[name]) for name, value in member.state_dict().items())


def test_one_member_can_be_asked(spatial, image):
    predictor = NetworkPredictor([network(spatial, seed) for seed in (0, 1)], sliding(spatial))
    both = predictor(image)
    for member in (0, 1):
        torch.testing.assert_close(predictor.predict_member(member, image), both[member])


@pytest.mark.parametrize("batched", [False, True])
def test_members_one_by_one_are_the_members(spatial, image, batched):
    members = [network(spatial, seed) for seed in range(3)]
    predictor = NetworkPredictor(members, sliding(spatial), batched=batched)
    probs = torch.stack(list(predictor.predict_members(image)))
    assert torch.equal(probs, predictor(image))
    assert not probs.requires_grad


def test_members_are_predicted_when_they_are_asked_for():
    members = [nn.Conv2d(1, 2, 1) for _ in range(3)]
    predicted = []
    for number, member in enumerate(members):
        member.register_forward_hook(lambda *_, number=number: predicted.append(number))
    asked = NetworkPredictor(members, SimpleInferer()).predict_members(torch.zeros(1, 1, 4, 5))
    next(asked)
    assert predicted == [0]
    assert torch.is_grad_enabled()


def test_amp_gives_float32(spatial, image):
    member = network(spatial)
    exact = NetworkPredictor([member], SimpleInferer())(image)
    probs = NetworkPredictor([member], SimpleInferer(), amp=True)(image)
    assert probs.dtype == torch.float32
    assert not torch.equal(probs, exact)
    torch.testing.assert_close(probs, exact, atol=0.03, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_gives_a_plain_float32_tensor(spatial, image, dtype):
    predictor = NetworkPredictor([network(spatial)] * 2, sliding(spatial))
    given = MetaTensor(image.half().to(dtype))
    before = given.clone()
    probs = predictor(given)
    assert type(probs) is torch.Tensor
    torch.testing.assert_close(probs, predictor(image.half().float()), rtol=0, atol=0)
    assert torch.equal(given, before)


def test_counts_the_parameters_and_passes_of_all_members():
    members = [nn.Conv2d(1, 2, 1), nn.Conv2d(1, 2, 3)]
    predictor = NetworkPredictor(members, SimpleInferer())
    assert predictor.num_parameters == 4 + 20
    assert predictor.num_passes == 2


def test_single_networks_are_the_members_of_the_ensemble(spatial, image):
    members = [network(spatial, seed) for seed in range(3)]
    singles = single_networks(members, sliding(spatial))
    assert [single.num_passes for single in singles] == [1, 1, 1]
    probs = torch.cat([single(image) for single in singles])
    torch.testing.assert_close(probs, NetworkPredictor(members, sliding(spatial))(image))


def test_is_made_from_json():
    parser = ConfigParser(
        {
            "network": {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2}
            | {"channels": [4, 8], "strides": [2]},
            "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [8, 8]},
            "predictor": {
                "_target_": "medkd.predictors.NetworkPredictor",
                "members": ["@network", "@network"],
                "inferer": "@inferer",
                "batched": "auto",
            },
        }
    )
    predictor = parser.get_parsed_content("predictor")
    assert predictor(torch.zeros(1, 1, 12, 9)).shape == (2, 1, 2, 12, 9)


def test_rejects_no_members():
    with pytest.raises(ValueError, match="`members` to hold at least one network, but got none"):
        NetworkPredictor([], SimpleInferer())
