from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch import nn

from medkd.predictors import (
    MonteCarloDropoutPredictor,
    NetworkPredictor,
    TestTimeAugmentationPredictor,
    cost,
    count_multiply_adds,
    measure_cost,
)

NEEDS_LINUX = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="the system does not say"
)


def convolution(spatial):
    return {2: nn.Conv2d, 3: nn.Conv3d}[len(spatial)](2, 3, 3, padding=1)


class Attention(nn.Module):
    def forward(self, window):
        tokens = window.flatten(2).transpose(1, 2)
        mixed = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
        return mixed.transpose(1, 2).view_as(window)


class Takes:
    """Takes some memory for a moment, and a number of seconds."""

    num_parameters = 0
    num_passes = 1

    def __init__(self, *sizes, seconds=0.0):
        self.sizes = sizes
        self.seconds = seconds

    def predict_members(self, image):
        held = [torch.ones(size // 4) for size in self.sizes]
        time.sleep(self.seconds)
        del held
        yield image.new_full((len(image), 2, *image.shape[2:]), 0.5)


@pytest.mark.parametrize("batched", [False, True])
def test_counts_what_a_convolution_multiplies(spatial, image, batched):
    members = [convolution(spatial) for _ in range(4)]
    predictor = NetworkPredictor(members, SimpleInferer(), batched=batched)
    voxels = image[:, 0].numel()
    assert count_multiply_adds(predictor, image) == 4 * voxels * 2 * 3 * 3 ** len(spatial)


def test_every_window_sample_and_view_counts(spatial, image):
    # Windows of 4 over an axis of n, side by side; what the last shares with its neighbor is
    # computed twice.
    inferer = SlidingWindowInferer([4] * len(spatial), overlap=0)
    windows = torch.tensor([-(-size // 4) for size in spatial]).prod().item()
    once = 2 * windows * 4 ** len(spatial) * 2 * 3 * 3 ** len(spatial)
    single = NetworkPredictor([convolution(spatial)], inferer)
    assert count_multiply_adds(single, image) == once
    assert count_multiply_adds(TestTimeAugmentationPredictor(single), image) == 4 * once
    network = nn.Sequential(convolution(spatial), nn.Dropout(0.5))
    samples = MonteCarloDropoutPredictor(network, inferer, num_samples=3)
    assert count_multiply_adds(samples, image) == 3 * once


def test_counts_other_layers_than_convolutions(spatial, image):
    transposed = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}[len(spatial)](2, 3, 2, stride=2)
    voxels = image[:, 0].numel()
    for network, expected in [
        (transposed, voxels * 2 * 3 * 2 ** len(spatial)),
        (Attention(), 2 * 2 * (voxels // 2) ** 2 * 2),  # two products a case, of two channels
    ]:
        predictor = NetworkPredictor([network], SimpleInferer())
        assert count_multiply_adds(predictor, image) == expected


@NEEDS_LINUX
@pytest.mark.parametrize("sizes", [[64 << 20], [32 << 20] * 2, [1 << 16] * 1024])
def test_memory_is_the_peak_beyond_what_was_held(sizes):
    image = torch.zeros(1, 1, 4, 4)
    held = torch.ones(16 << 20)
    # Memory that the process keeps after a first prediction must not hide that of a second.
    for _ in range(2):
        peak = measure_cost(Takes(*sizes), image).peak_memory_bytes
        assert peak == pytest.approx(64 << 20, abs=4 << 20)
    assert measure_cost(Takes(), image).peak_memory_bytes < 4 << 20
    assert held.sum() == held.numel()


@NEEDS_LINUX
def test_memory_holds_the_mean_and_one_member_at_a_time():
    predictor = NetworkPredictor([nn.Identity() for _ in range(12)], SimpleInferer())
    image = torch.ones(1, 4, 1 << 20)
    peak = measure_cost(predictor, image).peak_memory_bytes
    # The sum and a member, and what the C library reuses late; not all twelve.
    size = image.numel() * 4
    assert 1.9 * size < peak < 8 * size


def test_memory_is_unknown_where_the_system_does_not_say(monkeypatch, tmp_path):
    monkeypatch.setattr(cost, "_PROCESS", tmp_path)
    assert measure_cost(Takes(), torch.zeros(1, 1, 4, 4)).peak_memory_bytes is None


def test_seconds_are_those_of_a_prediction_that_is_not_counted(monkeypatch):
    calls = []
    predictor = Takes(seconds=0.05)
    count = cost.count_multiply_adds
    monkeypatch.setattr(
        cost, "count_multiply_adds", lambda *args: calls.append("count") or count(*args)
    )
    taken = measure_cost(predictor, torch.zeros(1, 1, 4, 4))
    assert calls == ["count"]
    assert taken.seconds >= 0.05
    assert taken.multiply_adds == 0


def test_a_trial_is_no_part_of_the_cost(spatial, image):
    members = [convolution(spatial) for _ in range(2)]
    automatic = NetworkPredictor(members, SimpleInferer(), batched="auto")
    expected = count_multiply_adds(NetworkPredictor(members, SimpleInferer()), image)
    assert measure_cost(automatic, image).multiply_adds == expected


def test_the_whole_cost_of_a_network(spatial, image):
    predictor = NetworkPredictor([convolution(spatial)], SimpleInferer())
    taken = measure_cost(predictor, image)
    assert taken.multiply_adds == count_multiply_adds(predictor, image)
    assert taken.seconds > 0
