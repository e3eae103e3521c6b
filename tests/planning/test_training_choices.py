from __future__ import annotations

import pytest

from medkd.planning.training_choices import (
    choose_batch_size,
    choose_cache,
    choose_flip_probability,
    choose_rotation,
    choose_schedule,
    is_small,
)

_LARGE = (128, 128, 128)


def batch_size(budget, *, shape=_LARGE, patch=_LARGE, num_cases=200):
    return choose_batch_size(
        lambda size: 10 * size, budget=budget, shape=shape, patch_size=patch, num_cases=num_cases
    ).value


def test_batch_takes_what_memory_is_left():
    assert [batch_size(budget) for budget in (20, 39, 40, 75, 1000)] == [2, 3, 4, 7, 8]


def test_batch_is_two_for_parts_of_volumes_small_volumes_and_few_cases():
    assert batch_size(1000, patch=(128, 128, 96)) == 2
    assert batch_size(1000, shape=(40, 40, 40), patch=(40, 40, 40)) == 2
    assert batch_size(1000, num_cases=20) == 2


@pytest.mark.parametrize(
    ("shape", "cases", "steps", "epochs"),
    [
        ((40, 50, 40), 140, 70, 22),  # 1,500 steps: 21.4 epochs
        ((40, 50, 40), 4, 10, 150),
        (_LARGE, 140, 70, 215),  # 15,000 steps
        (_LARGE, 2000, 250, 60),
    ],
)
def test_schedule(shape, cases, steps, epochs):
    found = choose_schedule(shape=shape, num_cases=cases, batch_size=2)
    assert found["steps_per_epoch"].value == steps
    assert found["member_num_epochs"].value == epochs
    assert found["num_epochs"].value == 2 * epochs
    assert found["val_interval"].value == max(1, epochs // 10)


def test_small_is_up_to_64_cubed():
    assert is_small((64, 64, 64))
    assert not is_small((64, 64, 65))


def test_cache_has_room_for_all():
    # 100 volumes of 10^6 voxels of 4 + 1 + 3 bytes are 0.8 GB.
    settings = {"shape": (100, 100, 100), "num_channels": 1, "num_classes": 3}
    assert [choose_cache(**settings, num_cases=n).value for n in (100, 125, 126)] == [1, 1, 2]


@pytest.mark.parametrize(
    ("names", "modality", "expected"),
    [
        (["anterior", "posterior"], "MR", 0.5),
        (["myocardium", "left ventricle"], "MR", 0.0),
        (["LV", "RV"], "MR", 0.0),
        (["kidney_right"], "MR", 0.0),
        (["bright spot"], "MR", 0.5),
        (["liver"], "CT", 0.0),
    ],
)
def test_flips_only_where_no_name_has_a_side(names, modality, expected):
    assert choose_flip_probability(names, modality=modality).value == expected


@pytest.mark.parametrize(
    ("patch", "spacing", "angles"),
    [
        ((40, 56, 40), (1, 1, 1), [0.2, 0.2, 0.2]),
        ((128, 128, 10), (1.5, 1.5, 10), [0.0, 0.0, 0.2]),
        ((60, 60, 5), (1, 1, 1), [0.0, 0.0, 0.2]),
        ((10, 64, 64), (5, 1, 1), [0.2, 0.0, 0.0]),
    ],
)
def test_flat_and_coarse_planes_are_not_turned(patch, spacing, angles):
    assert choose_rotation(patch, spacing).value == angles
