from __future__ import annotations

from itertools import product

import pytest
import torch
from monai.bundle import ConfigParser
from monai.inferers import SimpleInferer, SlidingWindowInferer
from torch import nn

from medkd.functional import mutual_information
from medkd.predictors import NetworkPredictor, TestTimeAugmentationPredictor


class Ramp(nn.Module):
    """Says where a voxel lies, whatever the image shows."""

    def forward(self, window):
        axes = [torch.linspace(0, axis + 1, size) for axis, size in enumerate(window.shape[2:])]
        place = sum(torch.meshgrid(*axes, indexing="ij")).expand(len(window), 1, *window.shape[2:])
        return torch.cat([place, torch.zeros_like(place)], dim=1)


def convolution(spatial, *, even):
    """Blind to how the image lies if its kernel is even: each weight depends on the distance."""
    torch.manual_seed(0)
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[len(spatial)](2, 3, 3, padding=1)
    if even:
        distance = sum(torch.meshgrid(*[torch.tensor([1, 0, 1])] * len(spatial), indexing="ij"))
        weights = torch.randn(3, 2, len(spatial) + 1)
        conv.weight.data = weights[:, :, distance]
    return conv


def plain(network, inferer=None):
    return NetworkPredictor([network], inferer or SimpleInferer())


def all_axes(spatial):
    return list(range(len(spatial)))


@pytest.mark.parametrize("transpose_axes", [None, [1, 0]])
def test_views_of_an_equivariant_network_are_the_plain_prediction(spatial, image, transpose_axes):
    predictor = plain(convolution(spatial, even=True))
    views = TestTimeAugmentationPredictor(
        predictor, flip_axes=all_axes(spatial), transpose_axes=transpose_axes
    )
    probs = views(image)
    num_views = 2 ** len(spatial) * (1 if transpose_axes is None else 2)
    assert views.num_passes == num_views
    assert probs.shape == (num_views, 2, 3, *spatial)  # (M, B, C, *spatial)
    torch.testing.assert_close(probs, predictor(image).expand_as(probs), rtol=0, atol=1e-5)
    assert mutual_information(probs).max() < 1e-5


def test_is_the_prediction_of_each_flip_flipped_back(spatial, image):
    predictor = plain(convolution(spatial, even=False))
    probs = TestTimeAugmentationPredictor(predictor, flip_axes=all_axes(spatial))(image)
    assert torch.equal(probs[:1], predictor(image))
    views = []
    for flags in product([False, True], repeat=len(spatial)):
        dims = [axis + 2 for axis, flag in enumerate(flags) if flag]
        views.append(predictor(image.flip(dims)).squeeze(0).flip(dims))
    # Each expected view is there once, in whatever order.
    same = torch.tensor([[torch.equal(ours, theirs) for theirs in views] for ours in probs])
    assert same.sum(dim=0).eq(1).all()
    assert same.sum(dim=1).eq(1).all()


def test_all_turns_of_a_plane_are_views(image, spatial):
    predictor = plain(convolution(spatial, even=False))
    probs = TestTimeAugmentationPredictor(predictor, flip_axes=[0, 1], transpose_axes=[0, 1])(image)
    assert len(probs) == 8
    for turns in range(4):
        turned = predictor(image.rot90(turns, (2, 3))).squeeze(0).rot90(-turns, (2, 3))
        assert sum(torch.allclose(turned, view, atol=1e-6) for view in probs) == 1


def test_only_the_axes_asked_for_are_flipped(spatial):
    predictor = plain(Ramp())
    image = torch.zeros(1, 1, *spatial)
    probs = TestTimeAugmentationPredictor(predictor, flip_axes=[1])(image)
    expected = predictor(image)
    # The ramp does not move with the image, so it comes back flipped.
    torch.testing.assert_close(probs, torch.cat([expected, expected.flip(4)]))
    none = TestTimeAugmentationPredictor(predictor, flip_axes=[])
    assert none.num_passes == 1
    assert torch.equal(none(image), expected)


def test_windows_and_members_of_the_predictor_are_kept(spatial, image):
    torch.manual_seed(0)
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[len(spatial)]
    inferer = SlidingWindowInferer([4, 5, 3][: len(spatial)], overlap=0.5, mode="gaussian")
    predictor = NetworkPredictor([conv(2, 3, 1) for _ in range(2)], inferer)
    views = TestTimeAugmentationPredictor(predictor, flip_axes=[0], transpose_axes=[0, 1])
    assert views.num_passes == 8
    assert views.num_parameters == predictor.num_parameters
    probs = views(image)
    assert probs.shape == (8, 2, 3, *spatial)
    torch.testing.assert_close(probs, predictor(image).repeat(4, *[1] * (probs.ndim - 1)))


def test_members_one_by_one_are_the_members(spatial, image):
    predictor = plain(convolution(spatial, even=False))
    views = TestTimeAugmentationPredictor(predictor, transpose_axes=[0, 1])
    assert torch.equal(torch.stack(list(views.predict_members(image))), views(image))


def test_input_is_untouched_and_amp_gives_float32(spatial, image):
    before = image.clone()
    network = convolution(spatial, even=False)
    half = NetworkPredictor([network], SimpleInferer(), amp=True)
    probs = TestTimeAugmentationPredictor(half, flip_axes=[0])(image)
    assert torch.equal(image, before)
    assert probs.dtype == torch.float32
    assert not probs.requires_grad
    exact = TestTimeAugmentationPredictor(plain(network), flip_axes=[0])(image)
    torch.testing.assert_close(probs, exact, atol=0.03, rtol=0)


def test_is_made_from_json():
    parser = ConfigParser(
        {
            "network": {"_target_": "UNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 2}
            | {"channels": [4, 8], "strides": [2]},
            "predictor": {
                "_target_": "medkd.predictors.TestTimeAugmentationPredictor",
                "predictor": {
                    "_target_": "medkd.predictors.NetworkPredictor",
                    "members": ["@network"],
                    "inferer": {"_target_": "SlidingWindowInferer", "roi_size": [8, 8]},
                },
            },
        }
    )
    predictor = parser.get_parsed_content("predictor")
    assert predictor(torch.zeros(1, 1, 12, 9)).shape == (4, 1, 2, 12, 9)


@pytest.mark.parametrize("axes", [[-1], [0, 0]])
def test_rejects_axes_that_are_not_different(axes):
    with pytest.raises(ValueError, match=r"`flip_axes` to be different spatial axes, .* but got"):
        TestTimeAugmentationPredictor(plain(Ramp()), flip_axes=axes)


def test_rejects_one_axis_to_exchange():
    with pytest.raises(ValueError, match=r"`transpose_axes` to be two axes, but got \(0,\)"):
        TestTimeAugmentationPredictor(plain(Ramp()), flip_axes=[0], transpose_axes=[0])


def test_rejects_an_image_without_the_axis():
    predictor = TestTimeAugmentationPredictor(plain(Ramp()), flip_axes=[0, 2])
    with pytest.raises(ValueError, match=r"`image` to have a spatial axis 2, .* \(1, 1, 4, 5\)"):
        predictor(torch.zeros(1, 1, 4, 5))
