from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medkd.data import (
    FilePatterns,
    make_manifest,
    parse_manifest,
    read_manifest,
    split_patients,
    write_manifest,
)

PATTERNS = FilePatterns("images/*.png", "labels/*_hand.png", mask="fov/*.gif", patient=r"(\d)[LR]")
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


class TestMakeManifest:
    def test_of_a_folder(self, eyes):
        manifest = make_manifest(eyes[0], PATTERNS, class_names=["background", "vessel"])
        assert manifest.name == "eyes"
        assert manifest.label_values == {0: 0, 255: 1}
        assert manifest.labels == {"background": 0, "vessel": 1}
        assert manifest.channel_names == {0: "red", 1: "green", 2: "blue"}
        assert [case.patient for case in manifest.cases] == ["1", "1", "2", "3"]
        assert sorted(i for ids in manifest.splits.values() for i in ids) == [
            "1L",
            "1R",
            "2L",
            "3L",
        ]

    def test_is_deterministic_and_its_seed_matters(self, eyes):
        made = [make_manifest(eyes[0], PATTERNS, seed=seed).splits for seed in (0, 0, 1, 2, 3)]
        assert made[0] == made[1]
        assert any(splits != made[0] for splits in made[2:])

    def test_label_values_that_count_from_zero(self, eyes):
        folder, _ = eyes
        label = np.arange(108, dtype=np.uint8).reshape(9, 12) % 3
        for eye in ("1L", "1R", "2L", "3L"):
            Image.fromarray(label).save(folder / "labels" / f"{eye}_hand.png")
        manifest = make_manifest(folder, PATTERNS)
        assert manifest.label_values == {0: 0, 1: 1, 2: 2}
        assert manifest.class_names == ("background", "class_1", "class_2")

    def test_stated_label_values_are_not_looked_up(self, eyes):
        manifest = make_manifest(eyes[0], PATTERNS, label_values={0: 0, 1: 1, 255: 1})
        assert manifest.label_values == {0: 0, 1: 1, 255: 1}

    def test_gray_images(self, eyes):
        folder, _ = eyes
        for path in (folder / "images").iterdir():
            Image.open(path).convert("L").save(path)
        assert make_manifest(folder, PATTERNS).channel_names == {0: "gray"}

    @pytest.mark.parametrize(
        ("value", "shown"), [(0, "got 0;"), (7, "got 0, 7, 255;"), (255, "got 255;")]
    )
    def test_rejects_label_values_it_does_not_understand(self, eyes, value, shown):
        folder, _ = eyes
        for path in (folder / "labels").iterdir():
            label = np.full((9, 12), value, dtype=np.uint8)
            if value == 7:
                label[:2], label[2:4] = 0, 255
            Image.fromarray(label).save(path)
        with pytest.raises(ValueError, match=f"{shown} state `label_values`"):
            make_manifest(folder, PATTERNS)

    @pytest.mark.parametrize("names", [["background"], ["background", "a", "b"], ["a", "a"]])
    def test_rejects_class_names_that_do_not_fit(self, eyes, names):
        with pytest.raises(ValueError, match="Expected 2 different class names"):
            make_manifest(eyes[0], PATTERNS, class_names=names)

    def test_rejects_class_names_without_background_first(self, eyes):
        with pytest.raises(ValueError, match="'background': 0, but got 1"):
            make_manifest(eyes[0], PATTERNS, class_names=["vessel", "background"])

    def test_rejects_fewer_patients_than_splits(self, eyes):
        one_patient = FilePatterns("images/*.png", "labels/*_hand.png", patient="(images)")
        with pytest.raises(ValueError, match=r"each of the 3 splits .* but got 1 patient"):
            make_manifest(eyes[0], one_patient)

    def test_rejects_a_missing_folder(self, tmp_path):
        with pytest.raises(NotADirectoryError, match=r"there is no folder .*none"):
            make_manifest(tmp_path / "none", PATTERNS)


class TestSplitPatients:
    @pytest.mark.parametrize("count", [3, 4, 5, 10, 14, 100])
    def test_deals_everybody_once_and_leaves_no_split_empty(self, count):
        splits = split_patients([str(i) for i in range(count)], fractions=SHARES, seed=1)
        assert all(splits.values())
        assert sorted(int(i) for people in splits.values() for i in people) == [*range(count)]
        assert len(splits["train"]) == pytest.approx(0.7 * count, abs=1.5)

    @pytest.mark.parametrize("name", ["a", "b", "c"])
    def test_a_tiny_share_still_gets_a_patient(self, name):
        shares = {"a": 0.49, "b": 0.49, "c": 0.49} | {name: 0.02}
        splits = split_patients(["1", "2", "3"], fractions=shares, seed=0)
        assert [len(people) for people in splits.values()] == [1, 1, 1]

    def test_does_not_depend_on_order_or_repetition(self):
        people = [str(i) for i in range(20)]
        split = split_patients(people, fractions=SHARES, seed=0)
        assert split == split_patients(people[::-1] * 2, fractions=SHARES, seed=0)

    @pytest.mark.parametrize("shares", [{"a": 0.5, "b": 0.4}, {"a": 1.0, "b": 0.0}])
    def test_rejects_shares(self, shares):
        with pytest.raises(ValueError, match="`fractions` to be above 0 and to sum to 1"):
            split_patients(["1", "2", "3"], fractions=shares, seed=0)


class TestWriteManifest:
    def test_reads_back_equal(self, manifest_content, tmp_path):
        manifest_content |= {"license": "free", "files": {"fov/1L.gif": {"sha256": "0" * 64}}}
        manifest = parse_manifest(manifest_content)
        write_manifest(manifest, tmp_path / "new" / "eyes.json")
        assert read_manifest(tmp_path / "new" / "eyes.json") == manifest

    def test_has_one_line_a_case(self, manifest_content, tmp_path):
        write_manifest(parse_manifest(manifest_content), tmp_path / "eyes.json")
        lines = (tmp_path / "eyes.json").read_text().splitlines()
        assert sum('"case_id"' in line for line in lines) == 4
