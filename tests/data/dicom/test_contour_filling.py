from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path

from medkd.data.dicom.contour_filling import fill_contours

SHAPE = (23, 17)  # columns, rows


def fill_by_matplotlib(contours):
    """Even-odd over contours that do not cross themselves."""
    centers = np.stack(np.indices(SHAPE), axis=-1).reshape(-1, 2)
    inside = [Path(c).contains_points(centers).reshape(SHAPE) for c in contours]
    return np.logical_xor.reduce(inside)


def fill_by_loop(contours):
    """One pixel at a time: count the edges to its left (W. R. Franklin, PNPOLY)."""
    mask = np.zeros(SHAPE, dtype=bool)
    for x, y in np.ndindex(*SHAPE):
        for contour in contours:
            for (x0, y0), (x1, y1) in zip(contour, np.roll(contour, -1, axis=0), strict=True):
                if (y0 > y) != (y1 > y) and x0 + (y - y0) / (y1 - y0) * (x1 - x0) <= x:
                    mask[x, y] ^= True
    return mask


def star(generator, *, center, size, corners=11):
    """A contour round a center that does not cross itself."""
    angles = np.sort(generator.uniform(0, 2 * np.pi, corners))
    radii = size * generator.uniform(0.4, 1, corners)
    return np.c_[center[0] + radii * np.cos(angles), center[1] + radii * np.sin(angles)]


@pytest.mark.parametrize("seed", range(20))
def test_equals_references(seed):
    generator = np.random.default_rng(seed)
    contours = [
        star(generator, center=generator.uniform(0, 20, 2), size=generator.uniform(2, 15))
        for _ in range(3)
    ]
    filled = fill_contours(contours, shape=SHAPE)
    assert np.array_equal(filled, fill_by_loop(contours))
    assert np.array_equal(filled, fill_by_matplotlib(contours))


@pytest.mark.parametrize("turn", [1, -1])
def test_corners_on_centers(turn):
    """Equal to the loop where the choice is only of convention."""
    contour = np.array([[2, 3], [9, 3], [9, 8], [5, 6], [2, 8]])[::turn]
    assert np.array_equal(fill_contours([contour], shape=SHAPE), fill_by_loop([contour]))


def test_areas_with_a_common_edge_share_no_pixel():
    left = np.array([[2, 2], [7, 2], [9, 12], [2, 12]])
    right = np.array([[7, 2], [15, 2], [15, 12], [9, 12]])
    both = np.array([[2, 2], [15, 2], [15, 12], [2, 12]])
    parts = [fill_contours([part], shape=SHAPE) for part in (left, right)]
    assert not (parts[0] & parts[1]).any()
    assert np.array_equal(parts[0] | parts[1], fill_contours([both], shape=SHAPE))


def test_a_hole_joined_by_a_slit_is_a_hole():
    outer = np.array([[1.5, 1.5], [12.5, 1.5], [12.5, 11.5], [1.5, 11.5]])
    hole = np.array([[4.5, 4.5], [4.5, 8.5], [8.5, 8.5], [8.5, 4.5]])
    joined = np.vstack([outer, outer[:1], hole, hole[:1]])
    filled = fill_contours([joined], shape=SHAPE)
    assert np.array_equal(filled, fill_contours([outer, hole], shape=SHAPE))
    assert filled.sum() == 11 * 10 - 4 * 4


def test_what_lies_beyond_is_cut_off():
    around = np.array([[-90, -90], [90, -90], [90, 90], [-90, 90]])
    assert fill_contours([around], shape=SHAPE).all()
    assert not fill_contours([around + 200], shape=SHAPE).any()
    assert fill_contours([around + np.array([95.5, 0])], shape=SHAPE).sum() == (23 - 6) * 17


@pytest.mark.parametrize("corners", [[[3, 3]], [[3, 3], [8, 9]], [[3, 3], [8, 3], [5, 3]]])
def test_lines_have_no_inside(corners):
    assert not fill_contours([np.array(corners) + 0.25], shape=SHAPE).any()


def test_no_contours():
    filled = fill_contours([], shape=SHAPE)
    assert filled.shape == SHAPE
    assert not filled.any()


def test_input_is_untouched():
    contour = star(np.random.default_rng(0), center=(9, 9), size=6)
    before = contour.copy()
    fill_contours([contour], shape=SHAPE)
    assert np.array_equal(contour, before)
