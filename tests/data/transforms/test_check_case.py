from __future__ import annotations

import math

import pytest
import torch
from monai.data import MetaTensor

from medkd.data import CheckCased


@pytest.fixture(params=[(8, 7), (6, 5, 4)], ids=["2d", "3d"])
def case(request):
    size = request.param
    generator = torch.Generator().manual_seed(0)
    mask = torch.zeros((1, *size), dtype=torch.bool)
    mask[:, 1:4, 2:5] = True
    return {
        "image": MetaTensor(
            torch.rand((3, *size), generator=generator), meta={"filename_or_obj": "a.jpg"}
        ),
        "label": MetaTensor(torch.zeros((1, *size)), meta={"filename_or_obj": "a.png"}),
        "mask": mask,
    }


def test_passes_the_case_through_untouched(case):
    checked = CheckCased()(case)
    assert all(checked[key] is case[key] for key in case)


@pytest.mark.parametrize("absent", ["label", "mask"])
def test_leaves_out_what_is_absent(case, absent):
    del case[absent]
    assert absent not in CheckCased()(case)


def test_rejects_another_size_naming_both_files_and_sizes(case):
    size = tuple(case["image"].shape[1:])
    wrong = (size[1], size[0], *size[2:])
    case["label"] = MetaTensor(torch.zeros((1, *wrong)), meta={"filename_or_obj": "a.png"})
    with pytest.raises(ValueError, match=r"the label a\.png .* the image a\.jpg") as caught:
        CheckCased()(case)
    assert f"{size}, but got {wrong}" in str(caught.value)


def test_rejects_a_mask_of_another_size(case):
    case["mask"] = torch.ones((1, *(n + 1 for n in case["image"].shape[1:])), dtype=torch.bool)
    with pytest.raises(ValueError, match=r"Expected `mask` to be of the size of the image a\.jpg"):
        CheckCased()(case)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rejects_values_that_are_not_finite(case, value):
    case["image"][0, 0] = value
    with pytest.raises(
        ValueError, match=r"the image a\.jpg to have finite values, but got \d+ NaN"
    ):
        CheckCased()(case)


def test_rejects_an_image_of_one_value(case):
    case["image"][:] = 7.0
    with pytest.raises(ValueError, match=r"image a\.jpg to show something, but got 7 everywhere"):
        CheckCased()(case)


def test_rejects_an_image_of_one_value_inside_its_mask(case):
    case["image"][:, case["mask"][0]] = 7.0
    with pytest.raises(ValueError, match=r"a\.jpg inside its mask to show .* got 7 everywhere"):
        CheckCased()(case)
    del case["mask"]
    CheckCased()(case)


def test_rejects_an_empty_mask(case):
    case["mask"][:] = False
    with pytest.raises(ValueError, match="Expected `mask` to have pixels that count"):
        CheckCased()(case)


def test_rejects_an_image_key_that_is_not_checked():
    with pytest.raises(ValueError, match=r"`image_key` to be among \['label'\], but got 'image'"):
        CheckCased(keys=["label"])


class TestGrids:
    def case(self, affine, other, size=(8, 6, 4)):
        image = torch.rand((1, *size), generator=torch.Generator().manual_seed(0))
        label = torch.zeros((1, *size))
        return {
            "image": MetaTensor(image, affine=affine, meta={"filename_or_obj": "a.nii"}),
            "label": MetaTensor(label, affine=other, meta={"filename_or_obj": "l.nii"}),
        }

    def turned(self, degrees):
        angle = math.radians(degrees)
        affine = torch.eye(4, dtype=torch.float64)
        affine[:2, :2] = torch.tensor(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        )
        return affine

    def test_rejects_a_label_elsewhere_saying_how_far(self):
        affine = torch.diag(torch.tensor([1.0, 1.0, 5.0, 1.0]))
        other = affine.clone()
        other[2, 3] = 5.0
        with pytest.raises(
            ValueError,
            match=r"label l\.nii to lie on the grid of the image a\.nii within 0\.1 of a voxel, "
            r"but got up to 5 mm and 0\.0 degrees between them",
        ):
            CheckCased()(self.case(affine, other))

    def test_rejects_a_turned_label_saying_by_how_much(self):
        far = math.hypot(7, 5) * 2 * math.sin(math.radians(15))
        with pytest.raises(ValueError, match=rf"up to {far:.3g} mm and 30\.0 degrees"):
            CheckCased()(self.case(torch.eye(4), self.turned(30)))

    @pytest.mark.parametrize(("shift", "passes"), [(0.09, True), (0.11, False)])
    def test_the_tolerance_is_a_tenth_of_the_smallest_side(self, shift, passes):
        affine = torch.diag(torch.tensor([1.0, 2.0, 5.0, 1.0]))
        other = affine.clone()
        other[2, 3] = shift
        case = self.case(affine, other)
        if passes:
            assert CheckCased()(case)["label"] is case["label"]
        else:
            with pytest.raises(ValueError, match=r"0\.11 mm"):
                CheckCased()(case)

    @pytest.mark.parametrize("key", ["image", "label"])
    def test_a_part_without_affine_is_not_compared(self, key):
        case = self.case(torch.eye(4), self.turned(30))
        case[key] = case[key].as_tensor()
        CheckCased()(case)

    def test_pictures_are_not_compared(self):
        case = self.case(torch.eye(4), self.turned(30), size=(8, 6))
        CheckCased()(case)
