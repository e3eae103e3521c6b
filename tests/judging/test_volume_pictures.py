from __future__ import annotations

import numpy as np
import pytest
import torch

from medkd.judging.prepared_case import PreparedCase
from medkd.judging.volume_pictures import planes_of

SHAPE = (12, 10, 8)  # right to left 1 mm, back to front 2 mm, feet to head 3 mm
SPACING = (1.0, 2.0, 3.0)


def volume_case(flips=()):
    """Of axes to the right, front and head: the image is brightest at the right, front and head."""
    image = torch.zeros(1, 1, *SHAPE)
    image[0, 0, -3:, -3:, -3:] = 1.0
    label = (image > 0).long()
    codes = [["R", "L"], ["A", "P"], ["S", "I"]]
    axcodes = tuple(pair[axis in flips] for axis, pair in enumerate(codes))
    axes = [2 + axis for axis in flips]
    return PreparedCase("scan", image.flip(axes), label.flip(axes), None, None, SPACING, axcodes)


def pictures(case, wrong=None):
    pred = case.label[0, 0].numpy().copy()
    if wrong is not None:
        pred[wrong] = 1 - pred[wrong]
    return planes_of(case, "worst", {"student": (pred, np.zeros(SHAPE))})


def test_the_right_is_on_the_left_and_the_front_and_the_head_are_on_top():
    axial, coronal, sagittal = pictures(volume_case())
    assert [one.plane for one in (axial, coronal, sagittal)] == ["axial", "coronal", "sagittal"]
    assert axial.sides == ("R", "L", "A", "P")
    assert coronal.sides == ("R", "L", "S", "I")
    assert sagittal.sides == ("A", "P", "S", "I")
    assert axial.image.shape == (10, 12)
    assert coronal.image.shape == (8, 12)
    assert sagittal.image.shape == (8, 10)
    for picture in (axial, coronal, sagittal):
        assert picture.image[:3, :3].min() == 1.0
        assert picture.image[:3, :3].sum() == picture.image.sum()
        np.testing.assert_array_equal(picture.label, picture.image)


@pytest.mark.parametrize("flips", [(0,), (1, 2), (0, 1, 2)])
def test_is_the_same_however_the_volume_is_stored(flips):
    expected = pictures(volume_case())
    for found, other in zip(pictures(volume_case(flips)), expected, strict=True):
        np.testing.assert_array_equal(found.image, other.image)
        np.testing.assert_array_equal(found.methods["student"][0], other.methods["student"][0])


def test_axes_in_another_order_are_put_in_place():
    case = volume_case()
    turned = PreparedCase(
        "scan",
        case.image.permute(0, 1, 4, 2, 3),
        case.label.permute(0, 1, 4, 2, 3),
        None,
        None,
        (3.0, 1.0, 2.0),
        ("S", "R", "A"),
    )
    pred = turned.label[0, 0].numpy()
    found = planes_of(turned, "worst", {"student": (pred, np.zeros(pred.shape))})
    for one, other in zip(found, pictures(case), strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        assert one.pixel_aspect == other.pixel_aspect


def test_proportions_are_those_of_the_body():
    assert [one.pixel_aspect for one in pictures(volume_case())] == [2.0, 3.0, 1.5]


def test_shows_the_planes_with_the_most_errors():
    axial, coronal, sagittal = pictures(volume_case(), wrong=(slice(9, 10), 8, slice(5, 8)))
    for picture in (axial, coronal, sagittal):
        assert (picture.methods["student"][0] != picture.label).any()
    assert (sagittal.methods["student"][0] != sagittal.label).sum() == 3


def test_rejects_a_case_without_geometry():
    case = PreparedCase("scan", torch.zeros(1, 1, *SHAPE), torch.zeros(1, 1, *SHAPE).long(), None)
    with pytest.raises(ValueError, match="`case` scan to be a volume with its geometry"):
        planes_of(case, "best", {})
