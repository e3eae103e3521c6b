import pytest
import torch

from medkd.networks import ReconstructionDecoder

# Not a factor of two apart, as strides that differ by axis make them.
GRIDS = {2: [(2, 3), (5, 6), (10, 12)], 3: [(2, 3, 1), (4, 5, 2), (8, 10, 2)]}
CHANNELS = [7, 5, 3]


@pytest.fixture(params=[2, 3], ids=["2d", "3d"])
def dims(request):
    return request.param


def features(dims, batch=2):
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(batch, channels, *grid, generator=generator)
        for channels, grid in zip(CHANNELS, GRIDS[dims], strict=True)
    ]


def make(dims, channels=CHANNELS):
    torch.manual_seed(0)
    return ReconstructionDecoder(channels, num_channels=2, spatial_dims=dims)


def test_gives_an_image_of_the_size_asked_for(dims):
    size = tuple(2 * side for side in GRIDS[dims][-1])
    image = make(dims)(features(dims), size=size)
    assert image.shape == (2, 2, *size)
    one = make(dims, CHANNELS[:1])(features(dims)[:1], size=size)
    assert one.shape == image.shape


def test_every_feature_counts(dims):
    given = features(dims)
    for feature in given:
        feature.requires_grad_()
    make(dims)(given, size=GRIDS[dims][-1]).square().sum().backward()
    assert all(feature.grad.abs().sum() > 0 for feature in given)


def test_images_of_a_batch_do_not_mix(dims):
    decoder, given = make(dims), features(dims)
    whole = decoder(given, size=GRIDS[dims][-1])
    parts = [decoder([f[i : i + 1] for f in given], size=GRIDS[dims][-1]) for i in range(2)]
    torch.testing.assert_close(whole, torch.cat(parts))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([], 1, 2), "`channels` of at least one feature, but got none"),
        (([4, 0], 1, 2), "`channels` to be at least 1, but got 0"),
        (([4], 0, 2), "`num_channels` to be at least 1, but got 0"),
        (([4], 1, 4), "`spatial_dims` to be 1, 2 or 3, but got 4"),
    ],
)
def test_rejects(arguments, match):
    channels, num_channels, dims = arguments
    with pytest.raises(ValueError, match=match):
        ReconstructionDecoder(channels, num_channels=num_channels, spatial_dims=dims)


def test_rejects_another_number_of_features(dims):
    with pytest.raises(ValueError, match="`features` of 3 levels, but got 2"):
        make(dims)(features(dims)[:2], size=GRIDS[dims][-1])
