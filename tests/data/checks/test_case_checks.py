from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from medkd.data import Finding, check_cases, find_unused_files, parse_manifest, read_manifest
from medkd.files import sha256_of


def findings(folder, manifest):
    if not hasattr(manifest, "cases"):
        manifest = read_manifest(manifest)
    return [finding for _, found in check_cases(manifest, folder) for finding in found]


def the_one(folder, manifest):
    (finding,) = findings(folder, manifest)
    return finding


def test_a_sound_folder_has_no_findings_and_is_not_changed(eyes):
    folder, manifest = eyes
    before = {path: sha256_of(path) for path in folder.rglob("*.*")}
    assert findings(folder, manifest) == []
    assert {path: sha256_of(path) for path in folder.rglob("*.*")} == before


def test_yields_every_case_in_order(eyes):
    folder, manifest = eyes
    checked = check_cases(read_manifest(manifest), folder)
    assert [case.case_id for case, _ in checked] == ["1L", "1R", "2L", "3L"]


def test_of_an_unlabeled_case_the_image_is_checked(eyes, manifest_content):
    folder, _ = eyes
    del manifest_content["cases"][0]["label"]
    (folder / "labels" / "1L_hand.png").unlink()
    assert findings(folder, parse_manifest(manifest_content)) == []
    (folder / "images" / "1L.png").write_bytes(b"\x89PNG")
    assert "1L.png to be a whole image" in the_one(folder, parse_manifest(manifest_content)).message


class TestErrors:
    def test_missing_file(self, eyes):
        folder, manifest = eyes
        (folder / "fov" / "1R.gif").unlink()
        assert the_one(folder, manifest) == Finding(
            "error", "The mask fov/1R.gif is missing.", "1R"
        )

    def test_unreadable_file(self, eyes):
        folder, manifest = eyes
        (folder / "images" / "2L.png").write_bytes(b"\x89PNG")
        finding = the_one(folder, manifest)
        assert (finding.severity, finding.case_id) == ("error", "2L")
        assert "2L.png to be a whole image" in finding.message

    def test_another_file_than_the_owners(self, eyes, manifest_content):
        folder, _ = eyes
        right, wrong = "images/1L.png", "images/1R.png"
        manifest_content["files"] = {
            right: {"sha256": sha256_of(folder / right)},
            wrong: {"sha256": sha256_of(folder / right)},
        }
        finding = the_one(folder, parse_manifest(manifest_content))
        assert finding == Finding(
            "error", "The image images/1R.png is not the file whose SHA-256 is stated.", "1R"
        )

    @pytest.mark.parametrize("part", ["labels/1L_hand.png", "fov/1L.gif"])
    def test_another_size(self, eyes, part):
        folder, manifest = eyes
        with Image.open(folder / part) as picture:
            smaller = picture.convert("L").resize((6, 9), Image.Resampling.NEAREST)
        smaller.save(folder / part)
        finding = the_one(folder, manifest)
        assert finding.severity == "error"
        assert "(12, 9), but got (6, 9)" in finding.message

    def test_other_label_values(self, eyes):
        folder, manifest = eyes
        Image.new("L", (12, 9), 9).save(folder / "labels" / "1L_hand.png")
        assert "1L_hand.png to hold only the values [0, 255]" in the_one(folder, manifest).message

    def test_an_image_of_one_value_counts_once(self, eyes):
        folder, manifest = eyes
        Image.new("RGB", (12, 9), (7, 7, 7)).save(folder / "images" / "1L.png")
        assert "show something, but got 7 everywhere" in the_one(folder, manifest).message

    def test_nan(self, eyes, manifest_content):
        folder, _ = eyes
        values = np.random.default_rng(0).random((9, 12), dtype=np.float32)
        values[2, 3] = np.nan
        Image.fromarray(values).save(folder / "images" / "1L.tif")
        manifest_content["channel_names"] = {"0": "gray"}
        manifest_content["cases"][0]["image"] = "images/1L.tif"
        finding = the_one(folder, parse_manifest(manifest_content))
        assert "finite values, but got 1 NaN" in finding.message

    @pytest.mark.parametrize(("position", "split"), [(2, "validation"), (3, "test")])
    def test_nothing_to_measure_on(self, eyes, manifest_content, position, split):
        del manifest_content["cases"][position]["label"]
        finding = the_one(eyes[0], parse_manifest(manifest_content))
        assert finding.severity == "error"
        assert finding.message == f"The case has no label, which {split} needs."

    def test_an_empty_mask(self, eyes):
        folder, manifest = eyes
        Image.new("L", (12, 9)).save(folder / "fov" / "1L.gif")
        assert "got an empty mask" in the_one(folder, manifest).message

    def test_the_same_picture_in_another_split_and_another_format(self, eyes, manifest_content):
        folder, _ = eyes
        Image.open(folder / "images" / "1L.png").save(folder / "images" / "3L.bmp")
        manifest_content["cases"][3]["image"] = "images/3L.bmp"
        finding = the_one(folder, parse_manifest(manifest_content))
        assert (finding.severity, finding.case_id) == ("error", "3L")
        assert "same pixels as images/1L.png, which is in another split (test, train)" in (
            finding.message
        )

    def test_several_faults_of_a_case_are_all_found(self, eyes):
        folder, manifest = eyes
        (folder / "images" / "1L.png").write_bytes(b"")
        (folder / "labels" / "1L_hand.png").unlink()
        assert [finding.severity for finding in findings(folder, manifest)] == ["error", "error"]

    def test_rejects_a_missing_folder(self, eyes):
        folder, manifest = eyes
        with pytest.raises(NotADirectoryError, match=r"there is no folder .*elsewhere"):
            findings(folder / "elsewhere", manifest)

    def test_rejects_two_channels(self, eyes, manifest_content):
        manifest_content["channel_names"] = {"0": "a", "1": "b"}
        with pytest.raises(ValueError, match="`num_channels` to be 1 or 3, but got 2"):
            findings(eyes[0], parse_manifest(manifest_content))


class TestWarnings:
    def check(self, folder, manifest, text):
        finding = the_one(folder, manifest)
        assert finding.severity == "warning"
        assert text in finding.message

    def test_a_label_of_background(self, eyes):
        folder, manifest = eyes
        Image.new("L", (12, 9)).save(folder / "labels" / "1L_hand.png")
        self.check(folder, manifest, "labels/1L_hand.png has no class but background")

    def test_an_inverted_mask(self, eyes):
        folder, manifest = eyes
        with Image.open(folder / "fov" / "1L.gif") as picture:
            mask = np.asarray(picture.convert("L"))
        Image.fromarray(255 - mask).save(folder / "fov" / "1L.gif")
        self.check(folder, manifest, "lies mostly outside the mask: is the mask inverted?")

    def test_a_gray_picture(self, eyes):
        folder, manifest = eyes
        Image.open(folder / "images" / "1L.png").convert("L").save(folder / "images" / "1L.png")
        self.check(folder, manifest, "gray, but the manifest names 3 channels")

    def test_an_exif_orientation(self, eyes):
        folder, manifest = eyes
        picture = Image.open(folder / "images" / "1L.png")
        exif = Image.Exif()
        exif[0x0112] = 3
        picture.save(folder / "images" / "1L.png", exif=exif)
        self.check(folder, manifest, "EXIF orientation, which is applied")

    def test_the_same_picture_twice_in_a_split(self, eyes):
        folder, manifest = eyes
        shutil.copy(folder / "images" / "1L.png", folder / "images" / "1R.png")
        self.check(folder, manifest, "images/1R.png has the same pixels as images/1L.png.")

    def test_a_case_in_no_split(self, eyes, manifest_content):
        del manifest_content["splits"]["test"]
        self.check(eyes[0], parse_manifest(manifest_content), "The case is in no split")

    def test_files_that_no_case_uses(self, eyes):
        folder, manifest = eyes
        assert find_unused_files(read_manifest(manifest), folder) == []
        for number in range(5):
            shutil.copy(folder / "images" / "1L.png", folder / "images" / f"x{number}.png")
        (folder / "images" / "Thumbs.db").touch()
        (finding,) = find_unused_files(read_manifest(manifest), folder)
        assert finding.severity == "warning"
        assert "x0.png, x1.png, x2.png and 2 more in the folder" in finding.message
