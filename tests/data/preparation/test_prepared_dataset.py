from __future__ import annotations

import gc
import weakref

import pytest
import torch
from monai.data import CacheDataset, DataLoader, MetaTensor
from monai.data.utils import set_rnd
from monai.transforms import (
    ClassesToIndicesd,
    Compose,
    DeleteItemsd,
    RandCropByLabelClassesd,
    RandFlipd,
    RandGaussianNoised,
    RandomizableTransform,
    RandScaleIntensityd,
    RandSpatialCropd,
    SelectItemsd,
    SpatialPadd,
)

from medkd.data import PreparedCases, PreparedDataset
from medkd.handlers import EpochSeedHandler

PATCH = (5, 4, 6)
KEYS = ["image", "label"]


class Darken(RandomizableTransform):
    """A transform that changes its input, as some do."""

    def __call__(self, data):
        data["image"] *= self.R.uniform(0.1, 0.5)
        if "label_cls_indices" in data:
            data["label_cls_indices"][0][:] = 0
        return data


@pytest.fixture
def random(spatial_dims):
    patch = PATCH[:spatial_dims]
    return {
        "a crop": [RandSpatialCropd(KEYS, patch, random_size=False), RandFlipd(KEYS, 0.5)],
        "a crop by classes": [
            RandCropByLabelClassesd(
                KEYS,
                "label",
                patch,
                num_classes=2,
                num_samples=2,
                indices_key="label_cls_indices",
                warn=False,
            ),
            DeleteItemsd("label_cls_indices"),
            RandGaussianNoised("image", prob=1.0),
        ],
        "no crop": [RandFlipd(KEYS, 0.5), RandScaleIntensityd("image", 0.3, prob=1.0)],
        "in place": [Darken(), RandSpatialCropd(KEYS, patch, random_size=False)],
        "nothing": [],
    }


@pytest.fixture
def steps(spatial_dims, preprocessing):
    """Transforms of cases, and further deterministic ones: pads, one of them needless."""
    further = [
        SelectItemsd([*KEYS, "case_id"]),
        SpatialPadd("label", [20] * spatial_dims),
        SpatialPadd("image", [20] * spatial_dims),
        SpatialPadd(KEYS, [2] * spatial_dims),
        ClassesToIndicesd("label", num_classes=2),
    ]
    return preprocessing(spatial_dims), further


@pytest.fixture
def both(spatial_dims, make_cases, steps, random, tmp_path):
    """MONAI's data set and ours, each with its own transforms."""

    def make(kind, *, gigabytes=1.0, **given):
        items, (prepared, further) = make_cases(spatial_dims), steps
        full = Compose([*prepared, *further, *random[kind]])
        cases = PreparedCases(prepared, directory=tmp_path / "cache", gigabytes=gigabytes)
        ours = PreparedDataset(items, full, cases=cases, progress=False, **given)
        return CacheDataset(items, full, progress=False), ours

    return make


def numbers(items):
    """All values of a data set's items, in order."""
    flat = [one for item in items for one in (item if isinstance(item, list) else [item])]
    return [
        (key, value.as_tensor().clone() if isinstance(value, MetaTensor) else value)
        for item in flat
        for key, value in sorted(item.items())
    ]


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs)
    for (key, one), (other_key, other) in zip(ours, theirs, strict=True):
        assert key == other_key
        if isinstance(other, torch.Tensor):
            assert one.dtype == other.dtype
            assert torch.equal(one, other)
        elif isinstance(other, list):  # of indices
            assert all(torch.equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))
        else:
            assert one == other


@pytest.mark.parametrize("kind", ["a crop", "a crop by classes", "no crop", "in place", "nothing"])
@pytest.mark.parametrize("where", ["in memory", "on disk", "nowhere"])
def test_gives_what_cache_dataset_gives(where, kind, both):
    theirs, ours = both(kind, gigabytes=0 if where == "nowhere" else 1)
    if where == "on disk":
        ours._kept.clear()
        ours.cases.memory._entries.clear()
        ours.cases.memory.capacity = 0
    order = [2, 0, 0, -1, 1]
    epochs = []
    for epoch in range(2):
        given = []
        for dataset in (theirs, ours):
            set_rnd(dataset, 7 + epoch)
            given.append(numbers(dataset[index] for index in order))
        assert_equal(given[1], given[0])
        epochs.append(given[1])
    images = [[value for key, value in one if key == "image"] for one in epochs]
    same = all(torch.equal(one, other) for one, other in zip(*images, strict=True))
    assert same == (kind == "nothing")  # epochs differ, or the comparison would say nothing


def test_epochs_are_seeded_as_those_of_cache_dataset(both):
    class Engine:
        class state:
            epoch = 3

    given = []
    for dataset in both("a crop by classes"):
        loader = DataLoader(dataset, batch_size=2, shuffle=True)
        EpochSeedHandler(5, dataset)(Engine)
        given.append([batch["image"].as_tensor() for batch in loader])
    assert all(torch.equal(one, other) for one, other in zip(*given, strict=True))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("spatial_dims", [3], indirect=True)
def test_workers_draw_as_those_of_cache_dataset(both):
    given = []
    for dataset in both("a crop by classes"):
        torch.manual_seed(3)
        loader = DataLoader(dataset, batch_size=2, shuffle=True, num_workers=2)
        given.append([batch["image"].as_tensor() for batch in loader])
    assert all(torch.equal(one, other) for one, other in zip(*given, strict=True))


def test_decodes_once_for_all(both, decodings, other_process, tmp_path):
    theirs, ours = both("a crop")
    assert set(decodings.values()) == {2}  # once for each of the two
    decodings.clear()
    items = list(theirs.data)
    PreparedDataset(items, ours.transform, cases=ours.cases, progress=False)
    other_process()
    steps = ours.transform.transforms[: len(ours.cases.transforms)]
    cases = PreparedCases(steps, directory=tmp_path / "cache")
    PreparedDataset(items, Compose(steps), cases=cases, progress=False)
    assert not decodings


def test_the_bar_is_hidden_where_bars_are(make_cases, preprocessing, monkeypatch, capsys):
    items, steps = make_cases(2), preprocessing(2)
    cases = PreparedCases(steps)
    for hidden, progress in ((False, True), (False, False), (True, True)):
        monkeypatch.setattr("medkd.progress._hidden", hidden)
        PreparedDataset(items, steps, cases=cases, progress=progress)
        assert ("preparing cases" in capsys.readouterr().err) == (progress and not hidden)


class TestMemory:
    def test_what_is_kept_is_not_made_again(self, make_cases, preprocessing, decodings):
        items, steps = make_cases(2), preprocessing(2)
        dataset = PreparedDataset(items, steps, cases=PreparedCases(steps), progress=False)
        dataset.cases.memory._entries.clear()
        decodings.clear()
        for index in (0, 2, -1):
            assert "image" in dataset[index]
        assert not decodings

    def test_voxels_that_no_transform_changed_are_kept_once(
        self, spatial_dims, make_cases, preprocessing
    ):
        items, prepared = make_cases(spatial_dims), preprocessing(spatial_dims)
        cases = PreparedCases(prepared)
        needless = SpatialPadd(KEYS, [2] * spatial_dims)
        dataset = PreparedDataset(items, [*prepared, needless], cases=cases, progress=False)
        entries = sum(cases.kept(item).nbytes for item in items)
        assert cases.memory.taken == entries
        assert dataset[0]["image"].data_ptr() == cases.get(items[0])["image"].data_ptr()

    def test_a_data_set_that_is_gone_gives_back_what_it_took(self, both):
        theirs, ours = both("a crop")
        memory = ours.cases.memory
        entries = sum(memory.get(key).nbytes for key in memory._entries)
        assert memory.taken > entries
        gone = weakref.ref(ours)
        del ours, theirs
        gc.collect()
        assert gone() is None
        assert memory.taken == entries

    def test_the_next_training_has_the_room_of_the_last(self, both):
        _, ours = both("a crop")
        memory, transform, data = ours.cases.memory, ours.transform, list(ours.data)
        memory.capacity = memory.taken
        ours.itself = ours  # as engines refer to each other
        cases = ours.cases
        del ours, _
        again = PreparedDataset(data, transform, cases=cases, progress=False)
        assert len(again._kept) == len(data)

    def test_is_not_exceeded(self, both):
        _, ours = both("a crop")
        needed = ours.cases.memory.taken
        capacity = int(0.7 * needed)
        data, transform, cases = list(ours.data), ours.transform, ours.cases
        cases.memory._entries.clear()
        del ours, _
        gc.collect()
        cases.memory.taken = 0
        cases.memory.capacity = capacity
        dataset = PreparedDataset(data, transform, cases=cases, progress=False)
        assert 0 < len(dataset._kept) < len(data)
        assert cases.memory.taken <= capacity

    def test_a_crop_is_taken_without_a_copy_of_the_whole(
        self, spatial_dims, make_cases, preprocessing, monkeypatch
    ):
        places, crop = [], RandSpatialCropd.__call__

        def spy(self, data, lazy=None):
            places.append(data["image"].data_ptr())
            return crop(self, data, lazy)

        monkeypatch.setattr(RandSpatialCropd, "__call__", spy)
        items, prepared = make_cases(spatial_dims), preprocessing(spatial_dims)
        cases = PreparedCases(prepared)
        patch = RandSpatialCropd(KEYS, [2] * spatial_dims, random_size=False)
        dataset = PreparedDataset(items, [*prepared, patch, Darken()], cases=cases, progress=False)
        kept = cases.get(items[0])["image"]
        before = kept.clone()
        for _ in range(2):
            image = dataset[0]["image"]
            assert image.untyped_storage().nbytes() == 4 * 2**spatial_dims
        assert places == [kept.data_ptr()] * 2
        assert torch.equal(kept, before)


class TestRejects:
    def test_rejects_transforms_of_others(self, make_cases, preprocessing):
        cases = PreparedCases(preprocessing(2))
        for other in (preprocessing(2), list(cases.transforms[1:]), []):
            with pytest.raises(ValueError, match="to begin with the transforms of `cases`"):
                PreparedDataset(make_cases(2), other, cases=cases)

    def test_rejects_what_the_transforms_reject(self, make_cases, preprocessing):
        steps = preprocessing(2, label_values={0: 0})
        with pytest.raises(RuntimeError, match="EncodeLabeld"):
            PreparedDataset(make_cases(2), steps, cases=PreparedCases(steps), progress=False)
