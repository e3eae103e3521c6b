from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from medkd.data.phantoms.fundus_image import draw_fundus

SIZE = 256


@pytest.fixture(scope="module")
def fundi():
    return [draw_fundus(patient=patient, eye="L", size=SIZE, seed=0) for patient in range(3)]


def test_maps_share_one_size(fundi):
    for fundus in fundi:
        assert fundus.image.shape == (SIZE, SIZE, 3)
        assert fundus.image.dtype == np.uint8
        for name in ("label", "label_2nd", "mask", "vessel_prob"):
            assert getattr(fundus, name).shape == (SIZE, SIZE)


def test_nothing_is_marked_outside_the_field_of_view(fundi):
    for fundus in fundi:
        assert not (fundus.label | fundus.label_2nd | (fundus.vessel_prob > 0))[~fundus.mask].any()


def test_field_of_view_is_a_disc_and_the_surround_is_black(fundi):
    for fundus in fundi:
        assert fundus.mask.mean() == pytest.approx(np.pi * 0.478**2, rel=0.01)
        surround = ~ndimage.binary_dilation(fundus.mask, iterations=2)
        assert fundus.image[surround].max() < 16
        assert np.median(fundus.image[fundus.mask], axis=0).min() > 10


def test_colors_are_those_of_a_fundus(fundi):
    for fundus in fundi:
        red, green, blue = np.median(fundus.image[fundus.mask], axis=0)
        assert red > 1.6 * green > 1.6 * 1.6 * blue


def test_share_of_vessels_is_that_of_a_retina(fundi):
    for fundus in fundi:
        assert 0.06 < fundus.label[fundus.mask].mean() < 0.17


def test_clear_vessels_are_darker_than_their_surround(fundi):
    for fundus in fundi:
        green = fundus.image[..., 1].astype(float)
        clear = fundus.vessel_prob > 0.97
        near = ndimage.binary_dilation(clear, iterations=6) & (fundus.vessel_prob < 0.01)
        assert green[clear & fundus.mask].mean() < 0.85 * green[near & fundus.mask].mean()


def test_calibres_reach_from_one_pixel_to_several(fundi):
    for fundus in fundi:
        # Twice the distance to the background on the medial axis is about the width plus one.
        depth = ndimage.distance_transform_edt(fundus.label)
        ridge = (depth == ndimage.maximum_filter(depth, 3)) & fundus.label
        assert (depth[ridge] == 1).mean() > 0.2
        assert depth.max() >= 3


def test_observers_disagree_on_a_sane_share(fundi):
    for fundus in fundi:
        both = (fundus.label & fundus.label_2nd).sum()
        dice = 2 * both / (fundus.label.sum() + fundus.label_2nd.sum())
        assert 0.65 < dice < 0.9


def test_labels_are_drawn_from_the_stated_probability():
    """Over many eyes, of the pixels said to be vessel with probability p a share p is marked."""
    forecasts, marks = [], []
    for patient in range(8):
        for eye in ("L", "R"):
            fundus = draw_fundus(patient=patient, eye=eye, size=128, seed=1)
            for label in (fundus.label, fundus.label_2nd):
                forecasts.append(fundus.vessel_prob[fundus.mask])
                marks.append(label[fundus.mask])
    forecast, mark = np.concatenate(forecasts), np.concatenate(marks)
    bins = np.minimum((forecast * 5).astype(int), 4)
    for index in range(5):
        chosen = bins == index
        assert chosen.sum() > 500
        assert mark[chosen].mean() == pytest.approx(forecast[chosen].mean(), abs=0.06)


def test_eyes_have_their_discs_on_opposite_sides():
    for eye, side in (("L", slice(0, 64)), ("R", slice(64, 128))):
        fundus = draw_fundus(patient=2, eye=eye, size=128, seed=0)
        blue = ndimage.gaussian_filter(fundus.image[..., 2].astype(float), 3)
        disc = np.unravel_index(blue.argmax(), blue.shape)
        assert disc[1] in range(*side.indices(128))


def test_patients_eyes_and_seeds_differ():
    settings = [(0, "L", 0), (0, "R", 0), (1, "L", 0), (0, "L", 1)]
    images = [
        draw_fundus(patient=patient, eye=eye, size=48, seed=seed).image.tobytes()
        for patient, eye, seed in settings
    ]
    assert len(set(images)) == len(settings)
