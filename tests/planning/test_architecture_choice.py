from __future__ import annotations

import math

import pytest

from medkd.planning import choose_channels, choose_patch, choose_strides
from medkd.planning.architecture_choice import downsampling

_SHAPES = [
    ((35, 50, 36), (1.0, 1.0, 1.0)),
    ((512, 512, 300), (0.8, 0.8, 1.5)),
    ((216, 256, 10), (1.5, 1.5, 10.0)),
    ((5, 320, 320), (4.0, 0.7, 0.7)),
    ((60, 60, 5), (1.0, 1.0, 1.0)),
    ((6, 7, 5), (1.0, 1.0, 1.0)),
]


def voxels(patch, _strides):
    return math.prod(patch)


@pytest.mark.parametrize(
    ("patch", "spacing", "strides"),
    [
        ((40, 56, 40), (1, 1, 1), ((2, 2, 2),) * 3),
        ((64, 64, 5), (1, 1, 1), ((2, 2, 1),) * 4),
        # 1.5 -> 3 -> 6 mm in plane, then 10 mm is not twice as coarse and 10 slices are halved.
        ((64, 64, 10), (1.5, 1.5, 10), ((2, 2, 1), (2, 2, 1), (2, 2, 2), (2, 2, 1))),
        ((7, 6, 5), (1, 1, 1), ((1, 1, 1), (1, 1, 1))),
        ((8, 1, 1), (1, 1, 1), ((2, 1, 1), (1, 1, 1))),
        ((1024, 1024, 1024), (1, 1, 1), ((2, 2, 2),) * 5),
    ],
)
def test_strides(patch, spacing, strides):
    assert choose_strides(patch, spacing) == strides


@pytest.mark.parametrize(("shape", "spacing"), _SHAPES)
def test_four_voxels_are_left_of_what_is_halved(shape, spacing):
    factors = downsampling(choose_strides(shape, spacing))
    assert all(math.ceil(s / f) >= 4 for s, f in zip(shape, factors, strict=True) if f > 1)


def test_channels_double_up_to_320():
    assert choose_channels(5, base=32) == (32, 64, 128, 256, 320, 320)


@pytest.mark.parametrize("budget", [4096, 50_000, 10**6, 10**9])
@pytest.mark.parametrize(("shape", "spacing"), _SHAPES)
def test_patch_fits_is_divisible_and_no_larger_than_the_volume(shape, spacing, budget):
    patch, strides = choose_patch(shape, spacing, voxels, budget=budget)
    factors = downsampling(strides)
    assert math.prod(patch) <= budget
    for size, side, factor in zip(patch, shape, factors, strict=True):
        assert size % factor == 0
        assert size <= -(-side // factor) * factor


def test_patch_is_whole_where_it_fits():
    assert choose_patch((35, 50, 36), (1, 1, 1), voxels, budget=10**9)[0] == (40, 56, 40)


def test_patch_comes_near_to_a_cube_in_mm():
    spacing = (1.0, 1.0, 2.0)
    patch, _ = choose_patch((256, 256, 256), spacing, voxels, budget=10**6)
    extents = [size * mm for size, mm in zip(patch, spacing, strict=True)]
    assert max(extents) <= 1.5 * min(extents)


def test_more_memory_never_makes_the_patch_smaller():
    budgets = [5_000, 20_000, 80_000, 320_000, 10**7]
    sizes = [
        math.prod(choose_patch((200, 180, 90), (1, 1, 2), voxels, budget=b)[0]) for b in budgets
    ]
    assert sizes == sorted(sizes)


def test_measures_few_of_the_patches_it_passes_over():
    tried = []

    def memory(patch, _):
        tried.append(patch)
        return math.prod(patch)

    choose_patch((512, 512, 400), (1.0, 1.0, 1.0), memory, budget=10**6)
    assert len(tried) < 12


def test_rejects_memory_too_small_for_the_smallest_patch():
    with pytest.raises(ValueError, match=r"smallest patch, \(16, 16, 16\), which takes 4.00 GiB"):
        choose_patch((64, 64, 64), (1, 1, 1), lambda p, _: math.prod(p) * 2**20, budget=2**20)
