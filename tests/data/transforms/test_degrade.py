from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from medkd.data import DEGRADATIONS, Degraded, degraded


@pytest.fixture(params=[(33, 28), (17, 15, 19)], ids=["2d", "3d"])
def image(request):
    """Values from 20 to 220, as a file may hold, with edges."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((2, *(-(-n // 4) for n in request.param)), generator=generator)
    for axis, size in enumerate(request.param, start=1):
        coarse = coarse.repeat_interleave(4, dim=axis).narrow(axis, 0, size)
    low, high = coarse.min(), coarse.max()
    return 20 + 200 * (coarse - low) / (high - low)


@pytest.mark.parametrize("kind", DEGRADATIONS)
class TestEveryKind:
    def test_gets_worse_with_its_strength(self, image, kind):
        errors = [
            float((degraded(image, kind=kind, strength=s) - image).abs().mean())
            for s in range(1, 6)
        ]
        assert errors == sorted(errors)
        assert errors[0] > 0

    def test_keeps_range_shape_and_input(self, image, kind):
        before = image.clone()
        result = degraded(image, kind=kind, strength=5)
        assert torch.equal(image, before)
        assert (result.shape, result.dtype) == (image.shape, torch.float32)
        assert result.min() >= 20 - 1e-3
        assert result.max() <= 220 + 1e-3

    def test_is_the_same_for_the_same_case_and_only_then(self, image, kind):
        transform = Degraded("image", kind=kind, strength=3)
        first, again, other = (
            transform({"case_id": name, "image": image})["image"] for name in ("a", "a", "b")
        )
        assert torch.equal(first, again)
        assert torch.equal(first, other) == (kind != "noise")


def test_blur_is_a_gaussian(image):
    expected = np.stack(
        [
            ndimage.gaussian_filter(channel, 2.0, mode="constant", cval=20, truncate=4)
            for channel in image.numpy()
        ]
    )
    blurred = degraded(image, kind="blur", strength=4).numpy()
    # MONAI integrates the kernel over each pixel, scipy samples it.
    assert np.abs(blurred - expected).max() < 0.02 * 200


def test_noise_has_the_stated_spread():
    image = torch.full((1, 200, 180), 128.0)
    image[0, 0, 0], image[0, 0, 1] = 0.0, 256.0
    noise = degraded(image, kind="noise", strength=1, seed=3) - image
    assert float(noise[0, 1:].std()) == pytest.approx(0.02 * 256, rel=0.02)
    assert float(noise[0, 1:].mean()) == pytest.approx(0.0, abs=0.1)


def test_darkness_leaves_256_levels(image):
    dark = (degraded(image, kind="darkness", strength=2) - 20) / 200 * 255
    assert float((dark - dark.round()).abs().max()) < 1e-3


def test_a_constant_image_stays_finite():
    assert torch.isfinite(degraded(torch.full((1, 5, 4), 7.0), kind="noise", strength=5)).all()


def test_rejects_a_kind_that_is_not_there():
    with pytest.raises(ValueError, match=r"Expected `kind` to be one of .*'blur'.*, but got 'fog'"):
        Degraded("image", kind="fog", strength=1)


@pytest.mark.parametrize(("strength", "bound"), [(0, "at least 1"), (6, "at most 5")])
def test_rejects_a_strength_out_of_range(strength, bound):
    with pytest.raises(ValueError, match=f"Expected `strength` to be {bound}, but got {strength}"):
        degraded(torch.zeros(1, 4, 5), kind="blur", strength=strength)
