from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import torch

from medkd.functional import label_band, surface_band


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


def band_by_loop(label, radius, spacing):
    """Each voxel against every voxel of another class, and its neighbors."""
    places = np.argwhere(np.ones(label.shape, dtype=bool))
    classes = label[tuple(places.T)]
    steps = places[:, None] - places[None]
    distance = np.sqrt(((steps * np.asarray(spacing)) ** 2).sum(axis=-1))
    is_near = (distance <= radius) | (np.abs(steps).sum(axis=-1) == 1)
    band = (is_near & (classes[:, None] != classes[None])).any(axis=1)
    return band.reshape(label.shape)


class TestSurfaceBand:
    @pytest.mark.parametrize("radius", [0.5, 2.0, 3.3])
    @pytest.mark.parametrize(
        ("spatial", "spacing"),
        [((40,), (0.7,)), ((19, 17), (0.6, 2.5)), ((11, 10, 7), (0.9, 1.7, 4.1))],
        ids=["1d", "2d", "3d"],
    )
    def test_matches_a_plain_loop(self, spatial, spacing, radius):
        generator = torch.Generator().manual_seed(3)
        label = (torch.rand(2, 1, *spatial, generator=generator) > 0.98).long()
        label += (torch.rand(2, 1, *spatial, generator=generator) > 0.99).long()
        band = surface_band(label, radius=radius, spacing=spacing)
        assert band.dtype == torch.bool
        for case in range(2):
            expected = band_by_loop(label[case, 0].numpy(), radius, spacing)
            np.testing.assert_array_equal(band[case, 0].numpy(), expected)

    def test_matches_scipys_distance_on_anisotropic_voxels(self):
        spacing = (0.8, 1.1, 3.0)
        label = np.zeros((24, 20, 9), dtype=np.uint8)
        label[5:15, 4:11, 3:6] = 1
        label[9:13, 6:9, 4:5] = 7
        expected = np.zeros(label.shape, dtype=bool)
        for index in np.unique(label):
            own = label == index
            distance = scipy.ndimage.distance_transform_edt(own, sampling=spacing)
            expected |= own & (distance <= 3.05)
        band = surface_band(torch.as_tensor(label)[None, None], radius=3.05, spacing=spacing)
        np.testing.assert_array_equal(band[0, 0].numpy(), expected)

    def test_is_as_wide_in_millimeters_along_every_axis(self):
        for axis, size in enumerate((1.0, 0.5, 1.5)):
            label = torch.zeros(1, 1, 24, 24, 24)
            label.narrow(2 + axis, 12, 12).fill_(1)
            band = surface_band(label, radius=3.0, spacing=(1.0, 0.5, 1.5))
            others = [other for other in range(5) if other != 2 + axis]
            assert int((band.sum(dim=others) > 0).sum()) == 2 * round(3.0 / size)

    def test_rounded_spacings_are_what_they_stand_for(self):
        label = torch.zeros(1, 1, 20)
        label[..., 10:] = 1
        for spacing in (1.0, 1.0000001, 0.9999999):
            assert int(surface_band(label, radius=3.0, spacing=[spacing]).sum()) == 6

    def test_one_class_has_no_surface_and_the_border_is_none(self):
        label = torch.full((1, 1, 6, 5, 4), 3)
        assert not surface_band(label, radius=9.0, spacing=(1.0, 1.0, 1.0)).any()

    def test_a_wide_band_takes_all(self):
        label = torch.zeros(1, 1, 4, 3, 2)
        label[0, 0, 0, 0, 0] = 1
        assert surface_band(label, radius=99.0, spacing=(1.0, 2.0, 3.0)).all()

    def test_leaves_input_untouched(self):
        label = torch.tensor([0, 300, 300, -1]).view(1, 1, 4)
        assert surface_band(label, radius=1.0, spacing=[1.0]).all()
        assert label.flatten().tolist() == [0, 300, 300, -1]

    def test_rejects_a_spacing_of_other_axes(self):
        with pytest.raises(ValueError, match=r"for each of 1 spatial axes, but got \(1.0, 1.0\)"):
            surface_band(torch.zeros(1, 1, 8), radius=1.0, spacing=(1.0, 1.0))

    @pytest.mark.parametrize(
        ("radius", "size", "name"), [(0.0, 1.0, "radius"), (1.0, -1.0, "spac")]
    )
    def test_rejects_what_is_not_above_zero(self, radius, size, name):
        with pytest.raises(ValueError, match=f"`{name}.* to be finite and above zero"):
            surface_band(torch.zeros(1, 1, 8), radius=radius, spacing=[size])

    def test_rejects_one_hot(self):
        with pytest.raises(ValueError, match=r"`label` of shape \(B, 1, \*spatial\)"):
            surface_band(torch.zeros(1, 2, 8), radius=1.0, spacing=[1.0])
