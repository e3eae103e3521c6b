from __future__ import annotations

from collections import Counter

import nibabel
import numpy as np
import pytest
from monai.transforms import LoadImaged, Orientationd, ScaleIntensityRanged, Spacingd
from PIL import Image

from medkd.data import CheckCased, EncodeLabeld, FieldOfViewd, ImageFileReader, VolumeFileReader
from medkd.data.preparation import case_memory

SIZES = {2: (12, 9), 3: (9, 8, 7)}


@pytest.fixture(autouse=True)
def other_process():
    """Forget what this process keeps in memory, as another process would not know it."""

    def forget():
        case_memory._latest.clear()
        case_memory._by_folder.clear()

    yield forget
    forget()


@pytest.fixture(params=[2, 3], ids=["2d", "3d"])
def spatial_dims(request):
    return request.param


@pytest.fixture
def make_cases(tmp_path):
    """Write cases of two or three dimensions and give their items."""

    def make(dims, *, num_cases=3, folder="data"):
        generator = np.random.default_rng(0)
        items = []
        for number in range(num_cases):
            files = {}
            for role in ("image", "label"):
                path = tmp_path / folder / f"{role}_{number}{'.png' if dims == 2 else '.nii.gz'}"
                path.parent.mkdir(exist_ok=True)
                write(path, _values(generator, dims, role))
                files[role] = str(path)
            items.append({"case_id": f"case_{number}", "patient": str(number), **files})
        return items

    return make


def _values(generator, dims, role):
    if role == "label":
        return generator.integers(0, 2, SIZES[dims], dtype=np.uint8) * 255
    return generator.integers(20, 250, SIZES[dims], dtype=np.uint8)


def write(path, values):
    """A picture of two axes, a volume of three."""
    if values.ndim == 2:
        Image.fromarray(values).save(path)
    else:
        nibabel.save(nibabel.Nifti1Image(values, np.diag([-1.0, 1.0, 2.0, 1.0])), path)


@pytest.fixture
def preprocessing():
    """What bundles do before anything random, made anew each time."""

    def make(dims, *, spacing=(1.5, 1.0, 2.0), label_values=None):
        reader = ImageFileReader if dims == 2 else VolumeFileReader
        keys = ["image", "label"]
        steps = [
            LoadImaged("image", reader=reader(num_channels=1), ensure_channel_first=True),
            LoadImaged("label", reader=reader(num_channels=1), ensure_channel_first=True),
            EncodeLabeld("label", label_values or {0: 0, 255: 1}),
            CheckCased(keys),
        ]
        if dims == 2:
            steps.append(FieldOfViewd("mask", image_key="image"))
        else:
            steps += [
                Orientationd(keys, axcodes="RAS", labels=None),
                Spacingd(keys, pixdim=spacing, mode=["bilinear", "nearest"]),
            ]
        steps.append(ScaleIntensityRanged("image", 0, 255, -1, 1))
        return steps

    return make


@pytest.fixture
def decodings(monkeypatch):
    """How often each file was decoded, by name."""
    counted = Counter()

    def count(reader):
        decode = reader.get_data

        def get_data(self, img):
            counted.update(path.name for path in img)
            return decode(self, img)

        monkeypatch.setattr(reader, "get_data", get_data)

    count(ImageFileReader)
    count(VolumeFileReader)
    return counted
