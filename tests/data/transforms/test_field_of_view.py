from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import MetaTensor

from medkd.data import (
    ExtendFieldOfViewd,
    FieldOfViewd,
    ImageFileReader,
    estimate_field_of_view,
)


@pytest.fixture(params=[(30, 24), (20, 18, 16)], ids=["2d", "3d"])
def disc(request):
    """A bright disc (ball) off the center, as a boolean (1, *spatial)."""
    axes = [torch.arange(n, dtype=torch.float32) for n in request.param]
    grid = torch.meshgrid(*axes, indexing="ij")
    distance = sum((g - n / 2 + 1) ** 2 for g, n in zip(grid, request.param, strict=True))
    return (distance < 49)[None]


class TestEstimateFieldOfView:
    def test_finds_a_disc_with_dark_spots_and_a_bright_speck(self, disc):
        generator = torch.Generator().manual_seed(0)
        image = disc * (100 + 50 * torch.rand((3, *disc.shape[1:]), generator=generator))
        image[(slice(None), *(n // 2 for n in disc.shape[1:]))] = 0.0  # a spot inside
        image[(slice(None), *(0 for _ in disc.shape[1:]))] = 255.0  # a speck outside
        estimate = estimate_field_of_view(image)
        assert estimate.dtype == torch.bool
        assert torch.equal(estimate, disc)

    @pytest.mark.parametrize("scale", [1 / 255, 1.0, 257.0])
    def test_does_not_depend_on_the_scale_of_values(self, disc, scale):
        assert torch.equal(estimate_field_of_view(disc * 100.0 * scale), disc)

    def test_is_everything_without_a_dark_surround(self):
        generator = torch.Generator().manual_seed(0)
        assert estimate_field_of_view(100 + torch.rand((3, 9, 7), generator=generator)).all()

    @pytest.mark.parametrize("value", [0.0, float("nan")])
    def test_is_empty_where_there_is_nothing_to_see(self, value):
        assert not estimate_field_of_view(torch.full((3, 9, 7), value)).any()

    def test_agrees_with_the_masks_of_chase_db1(self, chase_dir):
        name = "Image_03R"
        image, _ = ImageFileReader(3).get_data((chase_dir / "images" / f"{name}.jpg",))
        mask, _ = ImageFileReader(1).get_data((chase_dir / "fov" / f"{name}.gif",))
        estimate = estimate_field_of_view(torch.from_numpy(np.moveaxis(image, -1, 0).copy()))
        estimate, mask = estimate[0].numpy(), mask > 127
        assert 2 * (estimate & mask).sum() / (estimate.sum() + mask.sum()) > 0.985


class TestFieldOfViewd:
    @pytest.mark.parametrize("high", [1.0, 255.0])
    def test_thresholds_at_half_of_the_maximum(self, disc, high):
        case = {"image": torch.rand(3, *disc.shape[1:]), "mask": disc * high}
        mask = FieldOfViewd()(case)["mask"]
        assert mask.dtype == torch.bool
        assert torch.equal(mask, disc)

    def test_keeps_a_boolean_mask(self, disc):
        assert FieldOfViewd()({"image": disc, "mask": disc})["mask"] is disc

    def test_estimates_an_absent_mask(self, disc):
        image = MetaTensor(disc * 100.0, meta={"filename_or_obj": "a.png"})
        case = {"image": image}
        mask = FieldOfViewd()(case)["mask"]
        assert torch.equal(mask.as_tensor(), disc)
        assert mask.meta["filename_or_obj"] == "a.png"
        assert list(case) == ["image"]

    def test_counts_everything_when_told_not_to_estimate(self, disc):
        mask = FieldOfViewd(estimate=False)({"image": disc * 100.0})["mask"]
        assert mask.shape == disc.shape
        assert mask.all()

    def test_rejects_several_channels(self):
        with pytest.raises(ValueError, match=r"shape \(1, \*spatial\), but got shape \(3, 4, 5\)"):
            FieldOfViewd()({"image": torch.zeros(3, 4, 5), "mask": torch.zeros(3, 4, 5)})


class TestExtendFieldOfViewd:
    def test_each_pixel_takes_the_value_of_the_nearest_in_view(self, disc):
        generator = torch.Generator().manual_seed(0)
        image = torch.rand((2, *disc.shape[1:]), generator=generator) * disc
        label = torch.randint(0, 4, disc.shape, generator=generator)
        case = {"image": image, "label": label, "mask": disc}
        before = {key: value.clone() for key, value in case.items()}
        extended = ExtendFieldOfViewd(["image", "label"], margin=2)(case)

        inside = disc[0].nonzero()
        for pixel in (~disc[0]).nonzero()[::7]:
            distances = (inside - pixel).double().pow(2).sum(dim=1).sqrt()
            # Of several nearest ones any will do.
            nearest = inside[distances == distances.min()]
            for key in ("image", "label"):
                found = extended[key][(slice(None), *pixel)].tolist()
                if distances.min() <= 2:
                    values = [case[key][(slice(None), *n)].tolist() for n in nearest]
                    assert found in values
                else:
                    assert found == case[key][(slice(None), *pixel)].tolist()
        for key, value in case.items():
            assert torch.equal(value, before[key])  # the input is untouched
            inside_values = extended[key][disc.expand_as(value)]
            assert torch.equal(inside_values, value[disc.expand_as(value)])
        assert extended["label"].dtype == label.dtype

    @pytest.mark.parametrize("fill", [True, False])
    def test_a_mask_without_a_rim_changes_nothing(self, fill):
        case = {"image": torch.rand(3, 6, 5), "mask": torch.full((1, 6, 5), fill)}
        assert torch.equal(ExtendFieldOfViewd("image")(case)["image"], case["image"])

    def test_keeps_the_metadata(self, disc):
        image = MetaTensor(disc * 1.0, meta={"filename_or_obj": "eye.png"})
        extended = ExtendFieldOfViewd("image")({"image": image, "mask": disc})["image"]
        assert extended.meta["filename_or_obj"] == "eye.png"

    def test_passes_over_a_key_that_is_absent(self, disc):
        assert ExtendFieldOfViewd("label")({"mask": disc}).keys() == {"mask"}

    def test_rejects_a_negative_margin(self):
        with pytest.raises(ValueError, match="Expected `margin` to be at least 0, but got -1"):
            ExtendFieldOfViewd("image", margin=-1)
