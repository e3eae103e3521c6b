from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from monai.bundle import ConfigParser

from medkd.planning import choose_normalization


def apply(choice, image):
    parser = ConfigParser({"image": "image", "normalization": choice.value})
    case = {"image": image}
    for transform in parser.get_parsed_content("normalization"):
        case = transform(case)
    return case["image"]


def test_ct_is_clipped_to_its_percentiles_and_scaled(make_fingerprint):
    choice = choose_normalization(make_fingerprint(modality="CT"))
    scaled = apply(choice, torch.tensor([[[[-1000.0, -161.0, 39.5, 240.0, 3000.0]]]]))
    assert scaled.flatten().tolist() == pytest.approx([-1.0, -1.0, 0.0, 1.0, 1.0], abs=1e-6)
    assert "99.5th percentile" in choice.reason


def test_constant_ct_is_still_a_range(make_fingerprint):
    fingerprint = make_fingerprint(modality="CT")
    flat = replace(fingerprint.channels[0], low=7.0, high=7.0)
    value = choose_normalization(replace(fingerprint, channels=(flat,))).value
    assert (value[0]["a_min"], value[0]["a_max"]) == (7.0, 8.0)


@pytest.mark.parametrize(("zero_share", "nonzero"), [(0.6, True), (0.1, False)])
def test_mr_is_standardized_by_channel(make_fingerprint, zero_share, nonzero):
    choice = choose_normalization(make_fingerprint(zero_share=zero_share))
    image = torch.rand(2, 6, 5, 4, generator=torch.Generator().manual_seed(0)) + 1
    image[0] *= 100
    image[:, :3] = 0
    found = apply(choice, image)
    for channel, values in zip(found, image, strict=True):
        inside = values != 0 if nonzero else torch.ones_like(values, dtype=torch.bool)
        assert float(channel[inside].mean()) == pytest.approx(0, abs=1e-5)
        assert float(channel[inside].std(correction=0)) == pytest.approx(1, abs=1e-4)
        assert bool((channel[:3] == 0).all()) == nonzero
