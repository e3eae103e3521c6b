from __future__ import annotations

import gc
import logging
import os
import shutil
import weakref
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    Invertd,
    Lambdad,
    LoadImaged,
    RandFlipd,
    SelectItemsd,
)

import medkd
from medkd.data import PreparedCases, VolumeFileReader
from medkd.data.preparation import case_key

KEPT = ["memory", "disk", "not at all"]


def assert_same(ours, theirs):
    """Two items: values, types and all metadata but which object MONAI traced."""
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert type(ours[key]) is type(value)
        if not isinstance(value, torch.Tensor):
            assert ours[key] == value
            continue
        assert ours[key].dtype == value.dtype
        assert torch.equal(ours[key], value)
        if isinstance(value, MetaTensor):
            assert _shown(ours[key].__dict__) == _shown(value.__dict__)


def _shown(value):
    if isinstance(value, dict):
        return {key: _shown(value[key]) for key in sorted(value) if key != "id"}
    if isinstance(value, (list, tuple)):
        return [_shown(one) for one in value]
    if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
        return str(value.dtype), str(value.tolist())
    return str(value)


@pytest.fixture
def keep(tmp_path):
    """Cases that are given from memory, from disk, or prepared each time."""

    def make(how, transforms):
        if how == "not at all":
            return PreparedCases(transforms, directory=tmp_path / "cache", gigabytes=0)
        cases = PreparedCases(transforms, directory=tmp_path / "cache")
        if how == "disk":
            cases.memory.capacity = 0
        return cases

    return make


class TestWhatIsGiven:
    @pytest.mark.parametrize("how", KEPT)
    def test_is_what_the_transforms_make(
        self, how, keep, spatial_dims, make_cases, preprocessing, decodings
    ):
        (item, *_), steps = make_cases(spatial_dims), preprocessing(spatial_dims)
        expected = Compose(steps)(dict(item))
        cases, before = keep(how, steps), dict(item)
        decodings.clear()
        for _ in range(3):
            assert_same(cases.get(item), expected)
        assert item == before
        times = 3 if how == "not at all" else 1
        assert set(decodings.values()) == {times}
        assert set(decodings) == {Path(item[key]).name for key in ("image", "label")}

    @pytest.mark.parametrize("how", KEPT)
    def test_has_metadata_of_its_own(self, how, keep, make_cases, preprocessing):
        item = make_cases(3)[0]
        cases = keep(how, preprocessing(3))
        first = cases.get(item)["image"]
        first.meta.clear()
        first.applied_operations.clear()
        first.affine = torch.zeros(4, 4)
        second = cases.get(item)["image"]
        assert second.meta["filename_or_obj"] == item["image"]
        assert second.applied_operations
        assert second.affine.abs().sum() > 0

    def test_can_be_inverted_by_another_process(
        self, tmp_path, other_process, make_cases, preprocessing
    ):
        item = make_cases(3)[0]
        PreparedCases(preprocessing(3), directory=tmp_path / "cache").get(item)
        other_process()
        steps = preprocessing(3)[:-1]
        PreparedCases(steps, directory=tmp_path / "cache").get(item)
        other_process()
        steps = preprocessing(3)[:-1]
        prepared = PreparedCases(steps, directory=tmp_path / "cache").get(item)
        back = Invertd("label", Compose(steps), "label", nearest_interp=True)(prepared)["label"]
        assert back.shape[1:] == (9, 8, 7)

    def test_keeps_what_transforms_drop_dropped_and_passes_the_rest(
        self, tmp_path, make_cases, preprocessing
    ):
        steps = [*preprocessing(2), SelectItemsd(["image", "label", "case_id"])]
        item = make_cases(2)[0]
        cases = PreparedCases(steps, directory=tmp_path / "cache")
        for later in ({}, {"soft_label": "a.h5"}, {"soft_label": "b.h5"}):
            given = cases.get({**item, **later})
            tensors = ("image", "label")
            rest = {key: value for key, value in given.items() if key not in tensors}
            assert rest == {"case_id": "case_0", **later}

    def test_is_nothing_where_transforms_refuse(self, tmp_path, make_cases, preprocessing):
        item = make_cases(2)[0]
        cases = PreparedCases(preprocessing(2, label_values={0: 0}), directory=tmp_path / "cache")
        for _ in range(2):
            with pytest.raises(RuntimeError, match="EncodeLabeld"):
                cases.get(item)
        assert not list((tmp_path / "cache").glob("*.pt"))
        assert not cases.holds(item)

    def test_a_picture_is_as_it_was_taken(self, tmp_path, other_process, make_cases, preprocessing):
        item = make_cases(2)[0]
        raw = preprocessing(2)[0](dict(item))["image"].as_tensor()
        expected = (raw - raw.min()) / (raw.max() - raw.min())
        for _ in range(2):
            picture = PreparedCases(preprocessing(2), directory=tmp_path / "cache").picture(item)
            assert picture.dtype == torch.uint8
            torch.testing.assert_close(picture / 255, expected, atol=0.5 / 255, rtol=0)
            other_process()
        item = make_cases(3)[0]
        assert PreparedCases(preprocessing(3)).picture(item) is None

    def test_no_path_is_kept(self, tmp_path, make_cases, preprocessing):
        item = make_cases(2, folder="Jane_Doe")[0]
        PreparedCases(preprocessing(2), directory=tmp_path / "cache").get(item)
        (file,) = (tmp_path / "cache").glob("*.pt")
        assert b"Jane_Doe" not in file.read_bytes()
        assert b"case_0" not in file.read_bytes()


class TestWhatIsPreparedAnew:
    """Each change is noticed by a process that knows the files and by one that does not."""

    @pytest.fixture(params=["same process", "another process"])
    def give(self, request, tmp_path, other_process):
        def get(item, steps):
            if request.param == "another process":
                other_process()
            return PreparedCases(steps, directory=tmp_path / "cache").get(item)

        return get

    @pytest.mark.parametrize("role", ["image", "label"])
    def test_a_file_of_the_same_size_and_time(
        self, role, give, make_cases, preprocessing, decodings
    ):
        item, other = make_cases(3)[:2]
        # Of one size to the byte, so only their content can tell them apart.
        for one in (item, other):
            values = np.arange(504, dtype=np.uint8).reshape(9, 8, 7) % 251
            label = np.zeros_like(values)
            label[int(one["patient"])] = 255
            values[int(one["patient"])] += 1
            for key, array in (("image", values), ("label", label)):
                path = Path(one[key].removesuffix(".gz"))
                nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)
                one[key] = str(path)
        path = Path(item[role])
        before = give(item, preprocessing(3))
        found, old = path.stat(), path.read_bytes()
        assert len(old) == Path(other[role]).stat().st_size
        path.write_bytes(Path(other[role]).read_bytes())
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        assert (path.stat().st_size, path.stat().st_mtime_ns) == (found.st_size, found.st_mtime_ns)
        decodings.clear()
        after = give(item, preprocessing(3))
        assert decodings[path.name] == 1
        assert not torch.equal(before[role], after[role])
        # Back again, it is known.
        path.write_bytes(old)
        decodings.clear()
        again = give(item, preprocessing(3))
        assert torch.equal(before[role], again[role])
        assert not decodings

    def test_another_spacing(self, give, make_cases, preprocessing, decodings):
        item = make_cases(3)[0]
        shapes = set()
        for spacing in ((1.5, 1.0, 2.0), (1.0, 1.5, 2.0)):
            shapes.add(tuple(give(item, preprocessing(3, spacing=spacing))["image"].shape))
        assert len(shapes) == 2
        decodings.clear()
        give(item, preprocessing(3, spacing=(1.5, 1.0, 2.0)))
        assert not decodings

    def test_other_values_of_a_label(self, give, make_cases, preprocessing):
        item = make_cases(2)[0]
        label = give(item, preprocessing(2))["label"]
        swapped = give(item, preprocessing(2, label_values={0: 1, 255: 0}))["label"]
        assert torch.equal(swapped, 1 - label)

    @pytest.mark.parametrize("package", ["medkd", "monai"])
    def test_another_version(
        self, package, give, make_cases, preprocessing, decodings, monkeypatch
    ):
        item = make_cases(2)[0]
        give(item, preprocessing(2))
        decodings.clear()
        if package == "medkd":
            monkeypatch.setattr(medkd, "__version__", "0.0.0+other")
        else:
            others = {**case_key._versions(), package: "0.0.0"}
            monkeypatch.setattr(case_key, "_versions", lambda: others)
        give(item, preprocessing(2))
        assert sum(decodings.values()) == 2

    def test_not_a_folder_that_moved(self, tmp_path, give, make_cases, preprocessing, decodings):
        item = make_cases(2)[0]
        give(item, preprocessing(2))
        shutil.move(tmp_path / "data", tmp_path / "moved")
        moved = {key: value.replace("/data/", "/moved/") for key, value in item.items()}
        decodings.clear()
        given = give(moved, preprocessing(2))
        assert not decodings
        assert given["image"].meta["filename_or_obj"] == moved["image"]
        # The mask was drawn from the image.
        assert given["mask"].meta.get("filename_or_obj") in (None, moved["image"])

    def test_other_cases(self, give, make_cases, preprocessing):
        items = make_cases(2)
        images = [give(item, preprocessing(2))["image"] for item in items]
        assert not torch.equal(images[0], images[1])


class TestTransforms:
    def test_of_which_one_cannot_be_told_from_another_are_kept_in_memory(
        self, tmp_path, make_cases, preprocessing, decodings, caplog
    ):
        item = make_cases(2)[0]
        for factor in (2, 3):
            steps = [*preprocessing(2), Lambdad("image", lambda x, by=factor: x * by)]
            expected = Compose(steps)(dict(item))
            with caplog.at_level(logging.WARNING):
                cases = PreparedCases(steps, directory=tmp_path / "cache")
            assert "cannot be told" in caplog.text
            decodings.clear()
            for _ in range(2):
                assert torch.equal(cases.get(item)["image"], expected["image"])
            assert sum(decodings.values()) == 2
        assert not (tmp_path / "cache").exists()

    def test_rejects_random_ones(self, preprocessing):
        steps = [*preprocessing(2), RandFlipd("image")]
        with pytest.raises(ValueError, match="deterministic, but RandFlipd is random"):
            PreparedCases(steps)

    def test_rejects_less_than_nothing(self, preprocessing):
        with pytest.raises(ValueError, match="`gigabytes` to be zero or more, but got -1"):
            PreparedCases(preprocessing(2), gigabytes=-1)


class TestItems:
    def test_that_cannot_be_told_from_others_are_prepared_each_time(
        self, tmp_path, make_cases, preprocessing, decodings
    ):
        item = {**make_cases(2)[0], "later": lambda: 1}
        cases = PreparedCases(preprocessing(2), directory=tmp_path / "cache")
        for _ in range(2):
            assert "image" in cases.get(item)
        assert set(decodings.values()) == {2}
        assert not cases.holds(item)
        assert cases.kept(item) is None

    def test_of_several_files_an_image(self, tmp_path, make_cases, preprocessing, decodings):
        one, other = make_cases(3)[:2]
        item = {**one, "image": [one["image"], other["image"]]}
        steps = preprocessing(3)
        steps[0] = LoadImaged("image", VolumeFileReader(2), ensure_channel_first=True)
        cases = PreparedCases(steps, directory=tmp_path / "cache")
        image = cases.get(item)["image"]
        assert image.shape[0] == 2
        decodings.clear()
        turned = cases.get({**item, "image": [other["image"], one["image"]]})["image"]
        assert torch.equal(turned, image.flip(0))
        assert turned.meta["filename_or_obj"] == other["image"]
        assert sum(decodings.values()) == 3


class TestMemory:
    def test_is_shared_by_all_of_one_folder(self, tmp_path, make_cases, preprocessing):
        item = make_cases(2)[0]
        first = PreparedCases(preprocessing(2), directory=tmp_path / "cache")
        image = first.get(item)["image"]
        shutil.rmtree(tmp_path / "cache")
        second = PreparedCases(preprocessing(2), directory=tmp_path / "cache")
        assert second.get(item)["image"].data_ptr() == image.data_ptr()
        other = PreparedCases(preprocessing(2), directory=tmp_path / "other")
        assert other.get(item)["image"].data_ptr() != image.data_ptr()

    def test_of_the_last_folder_outlives_those_who_work_with_it(
        self, tmp_path, make_cases, preprocessing, decodings
    ):
        item = make_cases(2)[0]
        PreparedCases(preprocessing(2), directory=tmp_path / "cache").get(item)
        shutil.rmtree(tmp_path / "cache")
        gc.collect()
        decodings.clear()
        cases = PreparedCases(preprocessing(2), directory=tmp_path / "cache")
        cases.get(item)
        assert not decodings
        memory = weakref.ref(cases.memory)
        del cases
        PreparedCases(preprocessing(2), directory=tmp_path / "other")
        gc.collect()
        assert memory() is None

    def test_holds_no_more_than_it_may(self, make_cases, preprocessing):
        items = make_cases(2)
        one = PreparedCases(preprocessing(2))
        one.get(items[0])
        size = one.memory.taken
        cases = PreparedCases(preprocessing(2), gigabytes=2.5 * size / 1e9)
        for item in items:
            cases.get(item)
        assert cases.memory.taken == 2 * size
        assert [cases.holds(item) for item in items] == [True, True, False]
