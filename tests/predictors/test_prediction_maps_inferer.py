from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor
from monai.inferers import SimpleInferer, SliceInferer, SlidingWindowInferer
from torch import nn

from medkd.functional import entropy
from medkd.predictors import NetworkPredictor, PredictionMapsInferer
from medkd.predictors._window_buffer import WindowBuffer

CLASSES = 5
ALL = {"with_probability": True, "with_uncertainty": True}


def network(spatial, seed=0, classes=CLASSES):
    torch.manual_seed(seed)
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[len(spatial)]
    member = conv(2, classes, 3, padding=1)
    nn.init.normal_(member.weight, std=1.0)
    return member.eval()


def expected_maps(members, windows, image):
    """From all channels of the whole volume, as MONAI's inferer leaves them."""
    probs = NetworkPredictor(members, windows)(image).mean(dim=0)
    confidence, index = probs.max(dim=1, keepdim=True)
    return {"segmentation": index, "probability": confidence, "uncertainty": entropy(probs)}


def check_maps(maps, expected):
    assert list(maps) == ["segmentation", "probability", "uncertainty"]
    assert {name: values.shape for name, values in maps.items()} == {
        name: values.shape for name, values in expected.items()
    }
    for name, resolution in (("probability", 2**-11), ("uncertainty", 2**-10)):
        torch.testing.assert_close(maps[name].float(), expected[name], atol=resolution, rtol=0)
    # Where two classes tie to rounding, either is right.
    differ = maps["segmentation"] != expected["segmentation"]
    assert differ.float().mean() < 1e-3


@pytest.mark.parametrize("num_classes", [2, 3, 5, 7])
def test_rounding_to_half_precision_keeps_the_bounds(num_classes):
    """A half next to log 2 lies above it, one next to 1 / 3 below."""
    windows = SlidingWindowInferer([4, 4], mode="gaussian")

    def undecided(window):
        return torch.zeros(len(window), num_classes, *window.shape[2:])

    maps = PredictionMapsInferer(windows, **ALL)(torch.zeros(1, 1, 8, 8), undecided)
    entropies, probability = maps["uncertainty"].double(), maps["probability"].double()
    assert math.log(num_classes) - 1e-3 < entropies.min() <= entropies.max()
    assert entropies.max() <= math.log(num_classes)
    assert 1 / num_classes <= probability.min() <= probability.max() < 1 / num_classes + 1e-3


@pytest.mark.parametrize("num_members", [1, 3])
@pytest.mark.parametrize("mode", ["constant", "gaussian"])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.6])
def test_equals_monai_over_the_whole_volume(spatial, image, overlap, mode, num_members):
    windows = SlidingWindowInferer([5, 4, 3][: len(spatial)], 3, overlap, mode)
    members = [network(spatial, seed) for seed in range(num_members)]
    maps = PredictionMapsInferer(windows, **ALL)(image, members)
    check_maps(maps, expected_maps(members, windows, image))


@pytest.mark.parametrize("roi_size", [(4, 16, 3), (16, 4, 3), (4, 3, 16), (16, 16, 16), (10, 7, 5)])
@pytest.mark.parametrize("padding", [{"cval": 2}, {"padding_mode": "replicate"}])
def test_any_axis_may_be_shorter_than_a_window(roi_size, padding):
    image = torch.randn(1, 2, 10, 7, 5, generator=torch.Generator().manual_seed(1))
    windows = SlidingWindowInferer(roi_size, 2, 0.5, "gaussian", **padding)
    member = network((10, 7, 5))
    maps = PredictionMapsInferer(windows, **ALL)(image, member)
    check_maps(maps, expected_maps([member], windows, image))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("num_members", [1, 2])
def test_slices_of_a_volume_are_predicted_by_networks_of_pictures(axis, num_members):
    image = torch.randn(2, 2, 9, 7, 5, generator=torch.Generator().manual_seed(1))
    windows = SliceInferer(axis, roi_size=(4, 6), sw_batch_size=3, overlap=0.5, mode="gaussian")
    members = [network((4, 6), seed) for seed in range(num_members)]
    maps = PredictionMapsInferer(windows, **ALL)(image, members)
    check_maps(maps, expected_maps(members, windows, image))


@pytest.mark.parametrize("size", [(23, 6, 7), (6, 23, 7), (6, 7, 23)])
@pytest.mark.parametrize("sw_batch_size", [1, 4, 50])
def test_the_buffer_runs_along_any_axis(size, sw_batch_size, monkeypatch):
    axes = []
    init = WindowBuffer.__init__

    def noted(self, *args, axis, **kwargs):
        axes.append(axis)
        init(self, *args, axis=axis, **kwargs)

    monkeypatch.setattr(WindowBuffer, "__init__", noted)
    image = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(1))
    windows = SlidingWindowInferer((4, 4, 4), sw_batch_size, 0.3, "gaussian")
    member = network(size)
    maps = PredictionMapsInferer(windows, **ALL)(image, member)
    check_maps(maps, expected_maps([member], windows, image))
    assert axes == [size.index(23)]


def test_holds_one_window_of_the_classes():
    size, depth = (9, 8, 60), 6
    buffer = WindowBuffer(
        7, size, depth=depth, axis=2, device="cpu", with_probability=True, with_uncertainty=True
    )
    held = [v for v in vars(buffer).values() if isinstance(v, torch.Tensor)]
    assert [tuple(values.shape) for values in held] == [(7, 9, 8, depth)]


def test_windows_are_blended_as_probabilities(spatial, image):
    class Turns(nn.Module):
        """Sure of class 0 in one window and, less so, of class 1 in the next."""

        windows = 0

        def forward(self, window):
            logits = torch.zeros(len(window), 2, *window.shape[2:])
            for case in range(len(window)):
                logits[case, self.windows % 2] = 100.0 if self.windows % 2 == 0 else 1.0
                self.windows += 1
            return logits

    windows = SlidingWindowInferer([4] * len(spatial), overlap=0.5, mode="constant")
    maps = PredictionMapsInferer(windows, **ALL)(image[:1], Turns())
    # Half sure of class 0, half of 1 / (1 + e) for it; blended logits would be sure of it.
    shared = (1 + 1 / (1 + math.e)) / 2
    found = maps["probability"].float()
    assert ((found - shared).abs() < 1e-3).any()
    assert ((found > 0.55) & (found < 0.95)).float().mean() > 0.3


def test_only_what_is_asked_for(spatial, image):
    windows = SlidingWindowInferer([4] * len(spatial))
    member = network(spatial)
    assert list(PredictionMapsInferer(windows)(image, member)) == ["segmentation"]
    for value in (True, "true", "True"):
        infer = PredictionMapsInferer(windows, with_uncertainty=value)
        assert list(infer(image, member)) == ["segmentation", "uncertainty"]
    assert list(PredictionMapsInferer(windows, with_probability="false")(image, member)) == [
        "segmentation"
    ]


@pytest.mark.parametrize(("classes", "dtype"), [(256, torch.uint8), (257, torch.int16)])
def test_a_class_index_fits(classes, dtype):
    class Last(nn.Module):
        def forward(self, window):
            logits = torch.zeros(len(window), classes, *window.shape[2:])
            logits[:, -1] = 9
            return logits

    infer = PredictionMapsInferer(SlidingWindowInferer((4, 4), overlap=0.5))
    segmentation = infer(torch.zeros(1, 1, 6, 5), Last())["segmentation"]
    assert segmentation.dtype == dtype
    assert (segmentation == classes - 1).all()


def test_gives_plain_tensors_and_leaves_the_image(spatial, image):
    given = MetaTensor(image.half())
    before = given.clone()
    windows = SlidingWindowInferer([4] * len(spatial))
    maps = PredictionMapsInferer(windows, **ALL)(given, nn.ModuleList([network(spatial)]))
    assert {type(values) for values in maps.values()} == {torch.Tensor}
    assert not any(values.requires_grad for values in maps.values())
    assert torch.equal(given, before)


def test_many_voxels_are_reduced_in_chunks(monkeypatch):
    monkeypatch.setattr("medkd.predictors._window_buffer._CHUNK_VOXELS", 11)
    image = torch.randn(1, 2, 9, 8, 7, generator=torch.Generator().manual_seed(1))
    windows = SlidingWindowInferer((4, 5, 3), 2, 0.5, "gaussian")
    member = network((9, 8, 7))
    maps = PredictionMapsInferer(windows, **ALL)(image, member)
    check_maps(maps, expected_maps([member], windows, image))


def test_rejects_another_inferer():
    with pytest.raises(TypeError, match=r"a monai.*SlidingWindowInferer, but got Simple"):
        PredictionMapsInferer(SimpleInferer())
    with pytest.raises(ValueError, match="`with_coord` False, but got True"):
        PredictionMapsInferer(SlidingWindowInferer((4, 4), with_coord=True))


def test_rejects_a_switch_between():
    with pytest.raises(TypeError, match="`with_probability` to be true or false, but got 'yes'"):
        PredictionMapsInferer(SlidingWindowInferer((4, 4)), with_probability="yes")


def test_rejects_networks_that_say_nothing_usable():
    infer = PredictionMapsInferer(SlidingWindowInferer((4, 4)))
    image = torch.zeros(1, 1, 6, 5)
    with pytest.raises(ValueError, match="`network` to hold at least one network, but got none"):
        infer(image, [])
    with pytest.raises(ValueError, match="`network` to give finite logits, but got NaN"):
        infer(image, lambda window: torch.full((len(window), 2, 4, 4), math.nan))
    with pytest.raises(ValueError, match=r"logits .* but got shape \(1, 2, 3, 4\)"):
        infer(image, lambda window: torch.zeros(len(window), 2, 3, 4))
    with pytest.raises(ValueError, match=r"two classes or more .* but got shape \(1, 1, 4, 4\)"):
        infer(image, lambda window: torch.zeros(len(window), 1, 4, 4))
    with pytest.raises(TypeError, match="a tensor of logits, but got list"):
        infer(image, lambda window: [window])
