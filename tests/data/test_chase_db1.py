"""The real files and their traps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import Compose, LoadImaged
from PIL import Image

from medkd.data import CheckCased, EncodeLabeld, FieldOfViewd, ImageFileReader, load_cases


def test_the_palette_of_the_masks_is_inverted_and_read_rightly(chase_dir):
    for path in sorted((chase_dir / "fov").glob("*.gif"))[:4]:
        mask, _ = ImageFileReader(num_channels=1).get_data((path,))
        with Image.open(path) as picture:
            index = np.asarray(picture).T
        assert np.array_equal(mask == 255, index == 0)  # the naive array is the negative
        assert mask[mask.shape[0] // 2, mask.shape[1] // 2] == 255
        assert mask[0, 0] == 0
        assert (mask == 255).mean() == pytest.approx(0.69, abs=0.02)


def test_a_case_passes_the_whole_chain(chase_dir, manifests_dir):
    (case, _) = load_cases(manifests_dir / "chase_db1.json", chase_dir, split="validation")
    labels = ["label", "label_2nd"]
    load = Compose(
        [
            LoadImaged("image", reader=ImageFileReader(3), ensure_channel_first=True),
            LoadImaged([*labels, "mask"], reader=ImageFileReader(1), ensure_channel_first=True),
            EncodeLabeld(labels, {0: 0, 255: 1}),
            FieldOfViewd(),
            CheckCased(keys=["image", *labels, "mask"]),
        ]
    )
    loaded = load(case)
    assert loaded["image"].shape == (3, 999, 960)
    assert loaded["mask"].dtype == torch.bool
    for key in labels:
        assert loaded[key].unique().tolist() == [0, 1]
        assert loaded[key].float().mean().item() == pytest.approx(0.07, abs=0.02)
        inside = (loaded[key] > 0) & loaded["mask"]
        assert inside.sum() > 0.99 * (loaded[key] > 0).sum()
