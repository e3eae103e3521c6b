from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from medkd.files import sha256_of
from medkd.teachers import SoftLabelStore, add_soft_labels

KEY = {
    "member_weights_sha256": ["a" * 64, "b" * 64],
    "temperature": 2.0,
    "transforms": [{"_target_": "NormalizeIntensityd", "keys": "image"}],
    "inferer": {"_target_": "SlidingWindowInferer", "overlap": 0.25},
}
CLASSES = 3


@pytest.fixture
def store(tmp_path):
    store = SoftLabelStore(tmp_path / "soft_labels")
    store.open_for(KEY)
    return store


@pytest.fixture
def cases(tmp_path):
    """Two cases with an image file each; what is in them does not matter here."""
    items = []
    for case_id in ("eye_1", "eye_2"):
        image = tmp_path / f"{case_id}.png"
        image.write_text(case_id)
        items.append({"case_id": case_id, "image": str(image)})
    return items


def probs_of(spatial, generator):
    return torch.softmax(3 * torch.randn(CLASSES, *spatial, generator=generator), dim=0)


def write_all(store, cases):
    for case in cases:
        probs = torch.full((CLASSES, 4, 3), 1 / CLASSES)
        store.write(case["case_id"], probs, source_sha256=sha256_of(case["image"]))


def reopened(store):
    return SoftLabelStore(store.directory)


class TestReadAndWrite:
    def test_round_trip_is_within_the_error_of_the_code(self, store, spatial, generator):
        probs = probs_of(spatial, generator)
        before = probs.clone()
        store.write("eye_1", probs, source_sha256="0" * 64)
        found = reopened(store).read("eye_1").double()
        assert found.shape == (CLASSES, *spatial)
        torch.testing.assert_close(found.sum(dim=0), torch.ones(spatial, dtype=torch.float64))
        divergence = torch.special.xlogy(found, found / probs.double()).sum(dim=0)
        assert divergence.max() <= (CLASSES - 1) * 2.5e-5
        assert torch.equal(probs, before)

    def test_a_crop_of_the_file_is_a_crop_of_the_label(self, store, spatial, generator):
        store.write("eye_1", probs_of(spatial, generator), source_sha256="0" * 64)
        region = tuple(slice(1, size - axis) for axis, size in enumerate(spatial))
        expected = store.read("eye_1")[(slice(None), *region)]
        assert expected.numel() > 0
        assert torch.equal(store.read("eye_1", region), expected)

    def test_takes_far_less_than_a_byte_where_the_teacher_is_sure(self, store, spatial):
        scale = 40 if len(spatial) == 2 else 8
        large = tuple(scale * size for size in spatial)
        probs = torch.zeros(CLASSES, *large)
        probs[0] = 1.0
        probs[:, : large[0] // 2] = torch.tensor([0.2, 0.3, 0.5]).view(-1, *(1 for _ in large))
        store.write("eye_1", probs, source_sha256="0" * 64)
        num_codes = (CLASSES - 1) * int(np.prod(large))
        overhead = 6000  # bytes of an HDF5 file and its first chunk
        assert Path(store.path_of("eye_1")).stat().st_size < overhead + num_codes / 20

    def test_reads_a_view_of_a_batch(self, store, generator):
        batch = torch.softmax(torch.randn(2, CLASSES, 5, 4, generator=generator), dim=1)
        store.write("eye_1", batch[1], source_sha256="0" * 64)
        torch.testing.assert_close(store.read("eye_1"), batch[1], atol=0.01, rtol=0)

    def test_what_is_read_can_be_changed(self, store, generator):
        store.write("eye_1", probs_of((4, 3), generator), source_sha256="0" * 64)
        store.read("eye_1").zero_()
        assert store.read("eye_1").sum() > 0

    def test_rejects_a_case_it_does_not_have(self, store):
        match = f"Expected a soft label of eye_9 in {store.directory}, but there is none"
        with pytest.raises(KeyError, match=match):
            store.read("eye_9")


class TestStaleness:
    def test_nothing_is_missing_when_nothing_changed(self, store, cases, caplog):
        assert store.missing(cases) == ["eye_1", "eye_2"]
        write_all(store, cases)
        files = {path: path.stat().st_mtime_ns for path in store.directory.iterdir()}
        again = reopened(store)
        with caplog.at_level(logging.INFO):
            again.open_for(json.loads(json.dumps(KEY)))
            assert again.missing(cases) == []
        assert {path: path.stat().st_mtime_ns for path in store.directory.iterdir()} == files
        assert caplog.messages == []

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"member_weights_sha256": ["a" * 64, "c" * 64]}, "member_weights_sha256 changed"),
            ({"temperature": 3.0}, "temperature was 2.0, is 3.0"),
            ({"transforms": [{"_target_": "LoadImaged"}]}, "transforms changed"),
            ({"inferer": {"_target_": "SlidingWindowInferer", "overlap": 0.5}}, "inferer changed"),
            ({"amp": True}, "amp was null, is true"),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_each_part_of_the_key_counts(self, store, cases, caplog, change, reason):
        write_all(store, cases)
        again = reopened(store)
        again.open_for({**KEY, **change})
        assert again.missing(cases) == ["eye_1", "eye_2"]
        assert caplog.messages == [f"Soft labels in {store.directory} are written again: {reason}."]
        with pytest.raises(KeyError, match="Expected a soft label of eye_1"):
            again.read("eye_1")

    def test_what_is_dropped_stays_dropped(self, store, cases):
        write_all(store, cases)
        reopened(store).open_for({**KEY, "temperature": 3.0})
        back = reopened(store)
        back.open_for(KEY)
        assert back.missing(cases) == ["eye_1", "eye_2"]

    def test_an_empty_store_changes_its_key_without_a_word(self, store, cases, caplog):
        store.open_for({**KEY, "temperature": 3.0})
        assert store.missing(cases) == ["eye_1", "eye_2"]
        assert caplog.messages == []

    def test_another_format_is_written_again_and_its_files_go(self, store, cases, caplog):
        entry = {"file": "eye_1.npy", "source_sha256": sha256_of(cases[0]["image"])}
        old = {"format": 1, "key": KEY, "cases": {"eye_1": entry}}
        (store.directory / "index.json").write_text(json.dumps(old))
        np.save(store.directory / "eye_1.npy", np.zeros((1, 4, 3), dtype=np.uint8))
        again = reopened(store)
        again.open_for(KEY)
        assert again.missing(cases) == ["eye_1", "eye_2"]
        reason = "format of the store was 1, is 2"
        assert caplog.messages == [f"Soft labels in {store.directory} are written again: {reason}."]
        assert [path.name for path in store.directory.iterdir()] == ["index.json"]

    def test_a_file_elsewhere_is_never_removed(self, store, tmp_path):
        (tmp_path / "mine.h5").write_text("not of the store")
        entry = {"file": "../mine.h5", "source_sha256": "0" * 64}
        old = {"format": 1, "key": KEY, "cases": {"eye_1": entry}}
        (store.directory / "index.json").write_text(json.dumps(old))
        reopened(store).open_for(KEY)
        assert (tmp_path / "mine.h5").is_file()

    @pytest.mark.parametrize("changed", [0, 1])
    def test_an_image_of_several_files_counts_as_one(self, store, tmp_path, changed):
        channels = [tmp_path / name for name in ("t1.nii", "t2.nii")]
        for path in channels:
            path.write_text(path.name)
        case = {"case_id": "brain", "image": [str(path) for path in channels]}
        write_all(store, [case])
        assert store.missing([case]) == []
        channels[changed].write_text("taken again")
        assert store.missing([case]) == ["brain"]

    def test_a_changed_image_makes_its_label_stale(self, store, cases, caplog, tmp_path):
        write_all(store, cases)
        (tmp_path / "eye_2.png").write_text("taken again")
        again = reopened(store)
        assert again.missing(cases) == ["eye_2"]
        assert caplog.messages == [
            "The soft label of eye_2 is written again: its image has changed."
        ]
        write_all(again, cases[1:])
        assert reopened(store).missing(cases) == []

    def test_a_removed_file_is_missing(self, store, cases):
        write_all(store, cases)
        (store.directory / "eye_1.h5").unlink()
        assert store.missing(cases) == ["eye_1"]


class TestKill:
    """A label is two writes: its file, then the index. A kill may come between them."""

    @pytest.fixture
    def killed(self, monkeypatch):
        def kill(_):
            raise KeyboardInterrupt("killed")

        def write(store, case, probs):
            with monkeypatch.context() as patch:
                patch.setattr(SoftLabelStore, "_save_index", kill)
                with pytest.raises(KeyboardInterrupt, match="killed"):
                    store.write(case["case_id"], probs, source_sha256=sha256_of(case["image"]))

        return write

    def test_leaves_a_new_case_missing(self, store, cases, killed):
        write_all(store, cases[:1])
        killed(store, cases[1], torch.full((CLASSES, 4, 3), 1 / CLASSES))
        assert (store.directory / "eye_2.h5").is_file()
        again = reopened(store)
        again.open_for(KEY)
        assert again.missing(cases) == ["eye_2"]

    def test_leaves_a_stale_case_stale(self, store, cases, killed, tmp_path):
        write_all(store, cases)
        (tmp_path / "eye_2.png").write_text("taken again")
        killed(reopened(store), cases[1], torch.full((CLASSES, 4, 3), 1 / CLASSES))
        assert reopened(store).missing(cases) == ["eye_2"]


@pytest.mark.parametrize("content", ["", '{"format": 1, "key"', "[]", '{"format": 1}', "\udcff"])
def test_rejects_a_damaged_index(tmp_path, content):
    (tmp_path / "index.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    match = f"Expected {tmp_path / 'index.json'} to be the index of a soft-label store, but"
    with pytest.raises(ValueError, match=match):
        SoftLabelStore(tmp_path)


class TestAddSoftLabels:
    def test_adds_the_file_as_one_more_key(self, store, cases):
        write_all(store, cases)
        before = [dict(case) for case in cases]
        found = add_soft_labels(cases, store)
        assert [case.pop("soft_label") for case in found] == [
            str(store.directory / "eye_1.h5"),
            str(store.directory / "eye_2.h5"),
        ]
        assert found == cases == before

    def test_without_a_store_the_cases_stay_as_they_are(self, cases):
        found = add_soft_labels(cases, None)
        assert found == cases
        assert found[0] is not cases[0]

    def test_rejects_a_case_without_a_label(self, store, cases):
        write_all(store, cases[:1])
        with pytest.raises(KeyError, match="Expected a soft label of eye_2"):
            add_soft_labels(cases, store)
