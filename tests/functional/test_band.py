from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from medkd.functional import label_band


def band_by_distance(label, radius):
    """Chessboard distance of each voxel to the nearest one of another class, from scipy."""
    band = np.zeros(label.shape, dtype=bool)
    for index in np.unique(label):
        own = label == index
        if own.all():
            continue
        distance = scipy.ndimage.distance_transform_cdt(own, metric="chessboard")
        band |= own & (distance <= radius)
    return band


@pytest.mark.parametrize("radius", [1, 2, 3])
@pytest.mark.parametrize("spatial", [(23,), (21, 17), (13, 11, 9)], ids=["1d", "2d", "3d"])
def test_matches_scipy_distance(spatial, radius):
    generator = torch.Generator().manual_seed(3)
    label = (torch.rand(2, 1, *spatial, generator=generator) > 0.97).long()
    label += (torch.rand(2, 1, *spatial, generator=generator) > 0.99).long()  # three classes
    band = label_band(label, radius=radius)
    assert band.dtype == torch.bool
    assert band.shape == label.shape
    for case in range(2):
        np.testing.assert_array_equal(
            band[case, 0].numpy(), band_by_distance(label[case, 0].numpy(), radius)
        )


def test_reaches_both_sides_of_the_edge():
    label = torch.zeros(1, 1, 9, 8, dtype=torch.uint8)
    label[..., 4:] = 1
    columns = label_band(label, radius=2).all(dim=2).flatten().tolist()
    assert columns == [False, False, True, True, True, True, False, False]


def test_one_class_has_no_edge_and_the_border_is_none():
    assert not label_band(torch.ones(1, 1, 6, 5), radius=3).any()


def test_radius_beyond_the_image_takes_all():
    label = torch.zeros(1, 1, 4, 3)
    label[0, 0, 0, 0] = 1
    assert label_band(label, radius=9).all()


def test_edge_between_two_foreground_classes_counts():
    label = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2]).view(1, 1, 9)
    assert label_band(label, radius=1).int().flatten().tolist() == [0, 0, 1, 1, 0, 1, 1, 0, 0]


def test_leaves_input_untouched():
    label = torch.tensor([0, 1, 1]).view(1, 1, 3)
    label_band(label, radius=1)
    assert label.flatten().tolist() == [0, 1, 1]


def test_rejects_one_hot():
    with pytest.raises(ValueError, match=r"`label` of shape \(B, 1, \*spatial\).*\(1, 2, 8\)"):
        label_band(torch.zeros(1, 2, 8), radius=1)


def test_rejects_radius_zero():
    with pytest.raises(ValueError, match="`radius` to be at least 1, but got 0"):
        label_band(torch.zeros(1, 1, 8), radius=0)


def test_rejects_fraction_of_a_voxel():
    with pytest.raises(TypeError, match="`radius` to be an int, but got float"):
        label_band(torch.zeros(1, 1, 8), radius=1.5)
