from __future__ import annotations

import math

import pytest
import torch
from monai.bundle import ConfigParser
from monai.inferers import SimpleInferer, SlidingWindowInferer
from monai.networks.nets import BasicUNet
from torch import nn

from medkd.functional import mutual_information
from medkd.predictors import MonteCarloDropoutPredictor


def network(spatial):
    torch.manual_seed(0)
    conv, norm, dropout = {
        2: (nn.Conv2d, nn.BatchNorm2d, nn.Dropout2d),
        3: (nn.Conv3d, nn.BatchNorm3d, nn.Dropout3d),
    }[len(spatial)]
    return nn.Sequential(
        conv(2, 4, 3, padding=1), norm(4), nn.Dropout(0.3), dropout(0.5), conv(4, 3, 1)
    )


def two_logits(spatial, logit):
    """An image whose channels are the logits 0 and ``logit``."""
    return torch.stack([torch.zeros(1, *spatial), torch.full((1, *spatial), logit)], dim=1)


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def test_mean_tends_to_the_expectation(spatial):
    # A logit is zero with probability 0.25, and 4 / 3 as large otherwise.
    predictor = MonteCarloDropoutPredictor(nn.Dropout(0.25), SimpleInferer(), num_samples=60)
    probs = predictor(two_logits(spatial, 1.5))
    assert probs.shape == (60, 1, 2, *spatial)  # (M, B, C, *spatial)
    assert probs.dtype == torch.float32
    values = probs[:, :, 1].flatten().unique()
    torch.testing.assert_close(values, torch.tensor([0.5, sigmoid(2.0)]))
    expected = 0.25 * 0.5 + 0.75 * sigmoid(2.0)
    assert probs[:, :, 1].mean().item() == pytest.approx(expected, abs=0.01)


def test_samples_that_drop_everything_agree(spatial):
    predictor = MonteCarloDropoutPredictor(nn.Dropout(1.0), SimpleInferer(), num_samples=5)
    probs = predictor(two_logits(spatial, 9.0))
    torch.testing.assert_close(probs, torch.full_like(probs, 0.5))
    assert mutual_information(probs).max() < 1e-6


def test_samples_that_contradict_have_mutual_information(spatial):
    # Certain of class 1 in a half q of the samples, undecided in the rest.
    predictor = MonteCarloDropoutPredictor(nn.Dropout(0.5), SimpleInferer(), num_samples=64)
    probs = predictor(two_logits(spatial, 50.0))
    certain = (probs[:, 0, 1] > 0.9).double().mean(dim=0)
    mean = (1 + certain) / 2
    entropy_of_mean = -(mean * mean.log() + (1 - mean) * (1 - mean).log())
    expected = entropy_of_mean - (1 - certain) * math.log(2)
    torch.testing.assert_close(
        mutual_information(probs)[0, 0].double(), expected, rtol=0, atol=1e-5
    )
    assert expected.min() > 0.1


def test_follows_from_the_seed_and_leaves_the_global_state(spatial, image):
    first = MonteCarloDropoutPredictor(network(spatial), SimpleInferer(), num_samples=4, seed=1)
    torch.manual_seed(7)
    before = torch.get_rng_state()
    probs = first(image)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(8)
    assert torch.equal(first(image), probs)
    more = MonteCarloDropoutPredictor(network(spatial), SimpleInferer(), num_samples=6, seed=1)
    assert torch.equal(more(image)[:4], probs)
    other = MonteCarloDropoutPredictor(network(spatial), SimpleInferer(), num_samples=4, seed=2)
    assert not torch.equal(other(image), probs)
    assert not torch.equal(probs[0], probs[1])


def test_nothing_is_awake_between_two_samples(spatial, image):
    net = network(spatial)
    predictor = MonteCarloDropoutPredictor(net, SimpleInferer(), num_samples=3)
    expected = predictor(image)
    before = torch.get_rng_state()
    for sample, same in zip(predictor.predict_members(image), expected, strict=True):
        assert torch.equal(sample, same)
        assert not any(module.training for module in net.modules())
        assert torch.equal(torch.get_rng_state(), before)
        torch.rand(3)
        before = torch.get_rng_state()


def test_samples_of_two_seeds_are_all_different(spatial, image):
    samples = torch.cat(
        [
            MonteCarloDropoutPredictor(network(spatial), SimpleInferer(), num_samples=3, seed=seed)(
                image
            )
            for seed in (0, 1)
        ]
    )
    assert len(samples.flatten(1).unique(dim=0)) == 6


def test_only_dropout_wakes_and_goes_to_sleep_again(spatial, image):
    net = network(spatial)
    modes = []
    for module in net:
        module.register_forward_pre_hook(lambda module, _: modes.append(module.training))
    state = {name: value.clone() for name, value in net.state_dict().items()}
    predictor = MonteCarloDropoutPredictor(net, SimpleInferer(), num_samples=1)
    net[1].train()  # by whoever trains it at the same time
    predictor(image)
    assert modes == [False, False, True, True, False]
    assert [module.training for module in net] == [False, True, False, False, False]
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())


def test_modes_and_random_state_are_restored_after_an_error(spatial, image):
    net = network(spatial)
    predictor = MonteCarloDropoutPredictor(net, SimpleInferer())
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="channels"):
        predictor(image[:, :1])
    assert not any(module.training for module in net.modules())
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sample_is_one_pass_over_the_image(spatial, image):
    net = network(spatial)
    windows = []
    net.register_forward_pre_hook(lambda _, args: windows.append(args[0]))
    inferer = SlidingWindowInferer([4] * len(spatial), sw_batch_size=1000, overlap=0.5)
    probs = MonteCarloDropoutPredictor(net, inferer, num_samples=3)(image)
    assert len(windows) == 3
    torch.testing.assert_close(probs.sum(dim=2), torch.ones(3, 2, *spatial))
    assert MonteCarloDropoutPredictor(net, inferer, num_samples=3).num_passes == 3


def test_amp_gives_float32(spatial, image):
    exact, half = (
        MonteCarloDropoutPredictor(network(spatial), SimpleInferer(), num_samples=3, amp=amp)
        for amp in (False, True)
    )
    probs = half(image)
    assert probs.dtype == torch.float32
    assert not probs.requires_grad
    torch.testing.assert_close(probs, exact(image), atol=0.03, rtol=0)


def test_is_made_from_json():
    parser = ConfigParser(
        {
            "network": {"_target_": "BasicUNet", "spatial_dims": 2, "dropout": 0.1}
            | {"in_channels": 1, "out_channels": 2, "features": [4, 4, 4, 4, 4, 4]},
            "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [32, 32]},
            "predictor": {
                "_target_": "medkd.predictors.MonteCarloDropoutPredictor",
                "network": "@network",
                "inferer": "@inferer",
                "num_samples": 2,
            },
        }
    )
    predictor = parser.get_parsed_content("predictor")
    probs = predictor(torch.ones(1, 1, 32, 36))
    assert probs.shape == (2, 1, 2, 32, 36)
    assert not torch.equal(probs[0], probs[1])
    expected = sum(p.numel() for p in parser.get_parsed_content("network").parameters())
    assert predictor.num_parameters == expected


def test_rejects_a_network_that_drops_nothing():
    silent = BasicUNet(2, 1, 2, features=(4, 4, 4, 4, 4, 4), dropout=0.0)
    with pytest.raises(ValueError, match=r"`network` to have a dropout module .* got a BasicUNet"):
        MonteCarloDropoutPredictor(silent, SimpleInferer())


def test_rejects_no_samples():
    with pytest.raises(ValueError, match="`num_samples` to be at least 1, but got 0"):
        MonteCarloDropoutPredictor(nn.Dropout(0.5), SimpleInferer(), num_samples=0)
