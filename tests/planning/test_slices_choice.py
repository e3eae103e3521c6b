from __future__ import annotations

import pytest

from medkd.planning.slices_choice import choose_slices


def choose(shapes, *, budget=1.0, base=16):
    """A slice takes as much as the batch has pixels."""
    memory = lambda patch, _strides, size: patch[0] * patch[1] * size  # noqa: E731
    return choose_slices(shapes, memory, budget=budget, base=base)


@pytest.mark.parametrize(
    ("shapes", "patch_size", "strides"),
    [
        ([(512, 512, 90), (512, 512, 40)], [256, 256], [2] * 5),
        ([(512, 400, 90)], [256, 192], [2] * 5),  # the shape stays
        ([(97, 110, 6)], [96, 96], [2] * 4),
        ([(35, 50, 35)], [32, 64], [2, 2, 2, [1, 2]]),
        ([(20, 20, 8)], [64, 64], [2] * 4),  # the least that a SwinUNETR takes, and a square
        ([(40, 40, 40)], [64, 64], [2] * 4),
        ([(1000, 30, 4)], [256, 32], [2, 2, 2, [2, 1], [2, 1]]),
        ([(96, 96, 8), (64, 64, 8), (224, 224, 9)], [96, 96], [2] * 4),  # the median
    ],
)
def test_slices_are_of_a_size_that_every_teacher_takes(shapes, patch_size, strides):
    found = choose(shapes, budget=1e9)
    assert found["patch_size"].value == patch_size
    assert found["strides"].value == strides
    assert found["channels"].value == [min(16 * 2**level, 320) for level in range(len(strides) + 1)]


@pytest.mark.parametrize(
    ("room", "batch_size", "side"),
    [(100, 8, 96), (8, 8, 96), (7.9, 4, 96), (2, 2, 96), (1, 1, 96), (0.9, 2, 64)],
)
def test_as_many_slices_as_fit_and_smaller_ones_if_not_one_does(room, batch_size, side):
    found = choose([(96, 96, 8)], budget=room * 96 * 96)
    assert found["batch_size"].value == batch_size
    assert found["patch_size"].value == [side, side]
    assert f"about {side * side * batch_size / 2**30:.2f} GiB" in found["batch_size"].reason


def test_says_how_much_the_smallest_slice_takes():
    match = r"enough for the smallest slice, \(64, 64\), which takes 0.00 GiB"
    with pytest.raises(ValueError, match=match):
        choose([(96, 96, 8)], budget=64 * 64 - 1)
