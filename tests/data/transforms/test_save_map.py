from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import MaskIntensityd
from PIL import Image

from medkd.data import SaveMapd


def case_of(**maps):
    return {"case_id": "eye", **{name: torch.as_tensor(values) for name, values in maps.items()}}


@pytest.fixture
def indices():
    """Class indices (1, width, height) of unequal sides."""
    return torch.tensor([[[0, 1], [2, 3], [3, 0]]], dtype=torch.uint8)


@pytest.mark.parametrize(
    ("values", "dtype"), [((0, 1, 2, 4), np.uint8), ((0, 255, 7, 9), np.uint8)]
)
def test_writes_the_values_of_the_labels(tmp_path, indices, values, dtype):
    SaveMapd("segmentation", tmp_path, label_values=list(values))(case_of(segmentation=indices))
    written = np.asarray(Image.open(tmp_path / "eye_segmentation.png"))
    assert written.dtype == dtype
    a, b, c, d = values
    assert written.tolist() == [[a, c, d], [b, d, a]]  # rows of the picture


def test_values_above_255_take_16_bits(tmp_path, indices):
    SaveMapd("segmentation", tmp_path, label_values=[0, 256, 1000, 65535])(
        case_of(segmentation=indices)
    )
    picture = Image.open(tmp_path / "eye_segmentation.png")
    assert picture.mode.startswith("I")
    assert np.asarray(picture).tolist() == [[0, 1000, 65535], [256, 65535, 0]]


def test_indices_that_a_mask_was_laid_on(tmp_path, indices):
    """The bundles of pictures mask the map before they write it."""
    case = case_of(segmentation=indices, mask=torch.tensor([[[1, 1], [1, 1], [0, 0]]]).bool())
    case = MaskIntensityd("segmentation", mask_key="mask")(case)
    SaveMapd("segmentation", tmp_path, label_values=[0, 1, 2, 4])(case)
    written = np.asarray(Image.open(tmp_path / "eye_segmentation.png"))
    assert written.tolist() == [[0, 2, 0], [1, 4, 0]]


def test_shades_round_to_the_nearest(tmp_path):
    SaveMapd("probability", tmp_path)(case_of(probability=[[[0.0, 0.9999], [0.5, 2.0]]]))
    written = np.asarray(Image.open(tmp_path / "eye_probability.png"))
    assert written.tolist() == [[0, 128], [255, 255]]


def test_rejects_values_that_a_picture_cannot_hold(tmp_path):
    for values in ([0, -1], [0, 65536]):
        with pytest.raises(ValueError, match=r"from 0 to 65535, .* PNG can hold, but got"):
            SaveMapd("segmentation", tmp_path, label_values=values)
    with pytest.raises(TypeError, match="`label_values` to be whole numbers"):
        SaveMapd("segmentation", tmp_path, label_values=[0, 1.5])


def test_rejects_a_class_without_a_value(tmp_path, indices):
    save = SaveMapd("segmentation", tmp_path, label_values=[0, 1, 2])
    with pytest.raises(ValueError, match=r"indices from 0 to 2, .* but got \[3\]"):
        save(case_of(segmentation=indices))
    with pytest.raises(ValueError, match=r"class indices, integers, .* got torch\.float32"):
        save(case_of(segmentation=indices.float()))
